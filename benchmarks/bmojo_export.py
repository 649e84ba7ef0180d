"""How exactly a layer is the model it came from: the tables of docs/theory/bmojo.md.

Run ``python benchmarks/bmojo_export.py``. Each of 200 random stable systems of order 2 to 40
becomes a layer in double and in single precision. The output for white noise and for an impulse on
each input is compared with the model's response in extended precision (80 bits where the machine
has them), relative to its peak, over 1000 samples that `from_model` has not seen. Errors above 1e-5
in single precision must be those that it has warned of. A second table has the stored parameters of
other people's layers, a third nearly defective systems.
"""

import warnings

import numpy as np
import scipy
import torch

from canonical_forms.bmojo import (
    from_model,
    lru_parameters,
    mamba_parameters,
    s4d_parameters,
    s5_parameters,
)
from realization import AccuracyError, LinearSSM, NumericalWarning

SYSTEMS, STEPS = 200, 1000
PASSES = {torch.float64: 1e-9, torch.float32: 1e-5}


def gaussian(rng, n):
    """Return a random matrix: not normal, eigenvalues spread over a disc."""
    A = rng.standard_normal((n, n))
    return A * rng.uniform(0.7, 0.999) / np.abs(np.linalg.eigvals(A)).max()


def modal(rng, n):
    """Return lightly damped modes seen through a basis with condition number up to 1000."""
    blocks = []
    while sum(map(len, blocks)) < n:
        radius, angle = rng.uniform(0.5, 0.999), rng.uniform(0, np.pi)
        c, s = radius * np.cos(angle), radius * np.sin(angle)
        single = n - sum(map(len, blocks)) == 1 or rng.random() < 0.3
        blocks.append(np.array([[c]]) if single else np.array([[c, s], [-s, c]]))
    left, right = (np.linalg.qr(rng.standard_normal((n, n)))[0] for _ in range(2))
    T = left * np.geomspace(1.0, 10 ** rng.uniform(0, 3), n) @ right
    return T @ scipy.linalg.block_diag(*blocks) @ np.linalg.inv(T)


def clustered(rng, n):
    """Return a chain of two to four eigenvalues 1e-10 to 0.1 apart, coupled to random ones."""
    k = min(n, int(rng.integers(2, 5)))
    gap = 10 ** rng.uniform(-10, -1)
    centre = rng.uniform(-0.9, 0.9)
    chain = np.diag(np.clip(centre + gap * np.arange(k), -0.95, 0.95)) + np.eye(k, k=1)
    A = scipy.linalg.block_diag(chain, gaussian(rng, n - k) if n > k else np.zeros((0, 0)))
    A[:k, k:] = rng.standard_normal((k, n - k))
    U = np.linalg.qr(rng.standard_normal((n, n)))[0]
    return U @ A @ U.T


def delayed(rng, n):
    """Return a delay line of one to six steps feeding random dynamics."""
    k = min(n, int(rng.integers(1, 7)))
    A = scipy.linalg.block_diag(
        np.eye(k, k=-1), gaussian(rng, n - k) if n > k else np.zeros((0, 0))
    )
    A[k:, k - 1] = rng.standard_normal(n - k)
    U = np.linalg.qr(rng.standard_normal((n, n)))[0]
    return U @ A @ U.T


FAMILIES = {"gaussian": gaussian, "modal": modal, "clustered": clustered, "delayed": delayed}


def random_model(rng, family):
    """Return a model of random order and sizes."""
    n, m, p = int(rng.integers(2, 41)), int(rng.integers(1, 4)), int(rng.integers(1, 4))
    return LinearSSM(
        FAMILIES[family](rng, n),
        rng.standard_normal((n, m)),
        rng.standard_normal((p, n)),
        rng.standard_normal((p, m)),
    )


def layer_error(layer, model, rng):
    """Return the error on impulses and on noise, relative to the peak of the response."""
    m = model.n_inputs
    noise = rng.standard_normal((1, STEPS, m)).astype(np.float32)
    impulses = np.eye(STEPS, 1, dtype=np.float32) * np.eye(m, dtype=np.float32)[:, np.newaxis]
    u = np.concatenate([noise, impulses])
    with torch.no_grad():
        got = layer(torch.from_numpy(u)).y.double().numpy()
    wanted = extended_response(model, u)
    peaks = np.abs(wanted).max(axis=(1, 2), keepdims=True)
    return float((np.abs(got - wanted) / peaks).max())


def extended_response(model, u):
    """Return the outputs from rest for inputs (S, L, m)."""
    A, B, C, D, u = (M.astype(np.longdouble) for M in (model.A, model.B, model.C, model.D, u))
    x, y = np.zeros((len(u), len(A)), np.longdouble), []
    for t in range(u.shape[1]):
        y.append(x @ C.T + u[:, t] @ D.T)
        x = x @ A.T + u[:, t] @ B.T
    return np.stack(y, axis=1).astype(float)


def layers_table():
    """Print the quantiles for both precisions, and check the criteria."""
    rng = np.random.default_rng(0)
    families = list(FAMILIES) * (SYSTEMS // len(FAMILIES))
    models = [random_model(rng, family) for family in families]
    print(f"{SYSTEMS} systems, order 2-40, 1-3 inputs and outputs; error relative to the peak")
    print(f"{'':10} {'median':>8} {'90 %':>8} {'99 %':>8} {'max':>8}  pass  warned  blocks")
    for dtype, limit in PASSES.items():
        errors, flagged, blocks = [], [], 0
        for model in models:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", NumericalWarning)
                layer = from_model(model, dtype=dtype, window=0)
            flagged.append(any("differs from the model" in str(each.message) for each in caught))
            blocks += layer.memory.parameterization == "block"
            errors.append(layer_error(layer, model, rng))
        errors, flagged = np.array(errors), np.array(flagged)
        shown = "".join(f" {value:8.1e}" for value in np.quantile(errors, [0.5, 0.9, 0.99, 1.0]))
        share = float((errors <= limit).mean())
        name = str(dtype).removeprefix("torch.")
        print(f"{name:10}{shown}  {share:4.0%} {flagged.sum():7} {blocks:7}")
        for family in FAMILIES:
            own = errors[[each == family for each in families]]
            print(f"  {family:10} median {np.median(own):.1e}, max {own.max():.1e}")
        assert share >= (1.0 if dtype == torch.float64 else 0.99)
        assert flagged[errors > limit].all()


def law_errors(model, single):
    """Return the error of the stored parameters of each target, by its law, in double precision."""
    impulses = np.eye(STEPS, 1) * np.eye(model.n_inputs)[:, np.newaxis]
    h = extended_response(model, impulses).transpose(1, 2, 0)
    lags = np.arange(STEPS)[:, np.newaxis]

    def stored(values):
        narrow = {"c": np.complex64, "f": np.float32}
        if not single:
            return values
        return {key: v.astype(narrow[v.dtype.kind]).astype(v.dtype) for key, v in values.items()}

    def response(lam, b, c, D):
        got = np.einsum("in,kn,nj->kij", c, lam**lags, b, optimize=True).real
        got[0] += D
        return float(np.abs(got - h).max() / np.abs(h).max())

    errors = {}
    v = stored(s5_parameters(model))
    lam = np.exp(v["Lambda"] * np.exp(v["log_step"]))
    errors["S5"] = response(
        lam, ((lam - 1) / v["Lambda"])[:, np.newaxis] * v["B"], v["C"], np.diag(v["D"])
    )
    v = stored(lru_parameters(model))
    lam = np.exp(-np.exp(v["nu_log"]) + 1j * np.exp(v["theta_log"]))
    errors["LRU"] = response(
        lam, np.exp(v["gamma_log"])[:, np.newaxis] * v["B"], v["C"], np.diag(v["D"])
    )
    if h.shape[1:] == (1, 1):
        v = stored(s4d_parameters(model))
        A = -np.exp(v["log_A_real"][0]) + 1j * v["A_imag"][0]
        b = 2 * ((np.exp(A) - 1) / A)[:, np.newaxis]
        errors["S4D"] = response(np.exp(A), b, v["C"], v["D"])
        v = stored(mamba_parameters(model))
        gain = 2.0 if np.iscomplexobj(v["C"]) else 1.0
        b = (v["delta"] * v["B"]).T
        errors["Mamba scan"] = response(
            np.exp(v["delta"] * v["A"][0]).astype(complex), b, gain * v["C"], v["D"]
        )
    return errors


def targets_table():
    """Print the median and largest error of the parameters of each target."""
    rng = np.random.default_rng(1)
    kinds = {"one channel": [], "3 by 3": []}
    for _ in range(25):
        n = int(rng.integers(2, 21))
        A = modal(rng, n)
        kinds["one channel"].append(LinearSSM(A, A[:, :1], rng.standard_normal((1, n))))
        kinds["3 by 3"].append(
            LinearSSM(A, rng.standard_normal((n, 3)), rng.standard_normal((3, n)))
        )
    print("\nstored parameters of other layers, 50 lightly damped systems, order 2-20")
    print(f"{'':24} {'float64 median':>15} {'max':>8} {'float32 median':>15} {'max':>8}")
    for kind, models in kinds.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NumericalWarning)
            tables = [[law_errors(model, single) for model in models] for single in (False, True)]
        for name in tables[0][0]:
            columns = [np.array([errors[name] for errors in table]) for table in tables]
            shown = " ".join(f"{np.median(each):15.1e} {each.max():8.1e}" for each in columns)
            print(f"{name:12}{kind:12} {shown}")


def defective_table():
    """Print what nearly defective systems do to a diagonal layer, and to the layer chosen."""
    rng = np.random.default_rng(2)
    U = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    B, C = rng.standard_normal((3, 1)), rng.standard_normal((1, 3))
    print("\n3 by 3 chain at 0.8, eigenvalues a gap apart; float32, error relative to the peak")
    print(f"{'gap':>8} {'diagonal':>10} {'reported':>10} {'chosen':>10} {'reported':>10}  as")
    for gap in (0.0, 1e-8, 1e-6, 1e-4, 1e-3, 1e-2, 5e-2):
        A = np.diag([0.8, 0.8 + gap, 0.8 + 2 * gap]) + np.eye(3, k=1)
        model = LinearSSM(U @ A @ U.T, B, C)
        row = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NumericalWarning)
            for parameterization in ("diagonal", None):
                try:
                    layer = from_model(
                        model, dtype=torch.float32, window=0, parameterization=parameterization
                    )
                except AccuracyError:
                    row += [f"{'refused':>10}", f"{'':10}"]
                    continue
                error, report = layer_error(layer, model, rng), layer.provenance["error"]
                row += [f"{error:10.1e}", f"{float(report):10.1e}"]
        print(f"{gap:8.0e} {' '.join(row)}  {layer.memory.parameterization}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    layers_table()
    targets_table()
    defective_table()
