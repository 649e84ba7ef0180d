"""
Can a model be found without ever holding the record?
=====================================================

A logger writes one file an hour; the whole record fits nowhere. Subspace methods look at a record
through a matrix with a row for every instant, but all they need of it is a small triangular
factor. Is the factor that grows piece by piece the factor of the whole record, and what model does
it know after one piece, after ten, after all of them?
"""

# %%
# A plant and its logger
# ----------------------
# Two lightly damped modes, one input, two sensors. Pieces have any length; some are shorter than
# the window of the method.

import matplotlib.pyplot as plt
import numpy as np

import identification
import realization
from identification import HankelFactor

rng = np.random.default_rng(0)
modes = [(0.97, 0.3), (0.93, 0.9)]
A = np.zeros((4, 4))
for k, (r, angle) in enumerate(modes):
    turn = [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
    A[2 * k : 2 * k + 2, 2 * k : 2 * k + 2] = r * np.array(turn)
B = np.array([[1.0], [0.0], [0.5], [0.5]])
C = np.array([[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, -1.0]])
plant = realization.InnovationSSM(A, C, np.full((4, 2), 0.05), np.diag([2.0, 1.0]), B=B)
inputs = rng.standard_normal((60_000, 1))
outputs = realization.simulate(plant, inputs, noise=True, rng=rng).y

cuts = np.cumsum(rng.integers(10, 3000, size=60))
cuts = cuts[cuts < len(inputs)]
pieces = list(zip(np.split(outputs, cuts), np.split(inputs, cuts), strict=True))
horizons = {"past": 20, "future": 20}

# %%
# One pass
# --------
# ``update`` continues the record: windows reach across the cut, and no row is lost. The order is
# chosen from the factor alone, at every moment of the stream.


def response_error(factor, order):
    """Return the relative error of the impulse response from the input."""
    found = identification.subspace_id(factor=factor, order=order).model
    h, wanted = (realization.markov_parameters(m, 60) for m in (found, plant))
    return np.linalg.norm(h - wanted) / np.linalg.norm(wanted)


stream = HankelFactor(2, 1, **horizons)
samples, errors, orders = [], [], []
for k, (y, u) in enumerate(pieces):
    stream.update(y, u)
    if k in (0, 1, 2, 4, 8, 16, len(pieces) - 1):
        samples.append(stream.n_samples)
        orders.append(identification.select_order(stream))
        errors.append(response_error(stream, 4))
        print(f"{samples[-1]:6} samples: order {orders[-1]}, error {errors[-1]:.1%}")

# %%
# Pieces, the whole, and separate experiments
# -------------------------------------------
# The factor of the whole record is the same to rounding. Where the pieces were experiments of
# their own, ``merge`` joins their factors instead, and windows do not cross from one to the next.
# ``identification.distributed.hankel_factor`` is that ``merge`` over Dask: here in this process,
# with a ``Client`` on a cluster, whose workers read the files.

whole = HankelFactor(2, 1, **horizons).update(outputs, inputs)
difference = np.abs(np.abs(stream.R) - np.abs(whole.R)).max() / np.abs(whole.R).max()
print(f"stream and whole: {difference:.0e}; {stream.n_columns} rows, kept as {stream.R.shape}")

merged = HankelFactor(2, 1, **horizons)
for part in pieces:
    merged = merged.merge(HankelFactor(2, 1, **horizons).update(*part))
error = response_error(merged, 4)
print(f"as {len(pieces)} experiments: {merged.n_columns} rows, error {error:.2%}")

try:
    import dask

    from identification.distributed import hankel_factor

    with dask.config.set(scheduler="synchronous"):
        far = hankel_factor(pieces, **horizons)
    assert np.allclose(far.R.T @ far.R, merged.R.T @ merged.R)
except ImportError:
    print('pip install "stochastic-realization[distributed]" for many machines')

figure, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
ax.loglog(samples, errors, "o-", label="impulse response of the model so far")
ax.loglog(
    samples,
    errors[-1] * np.sqrt(samples[-1] / np.array(samples)),
    "--",
    color="0.5",
    label="one over the root of the samples",
)
ax.set(xlabel="samples that have passed", ylabel="relative error")
ax.legend()
plt.show()

# %%
# The answer
# ----------
# Yes: it is the same factor, whatever the pieces, and the error falls as one over the root of what
# has passed (dashed). What is held is a triangle of 121 columns and the samples that wait.

assert difference < 1e-10
assert orders[-1] == 4
assert errors[-1] < 0.05
