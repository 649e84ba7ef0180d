r"""What the data let doubt, whatever the model: too little excitation, feedback, drift.

Feedback is told from the data alone (Sims 1972; Caines and Chan 1975): where the inputs were chosen
without looking at the outputs, the innovation :math:`e_t`, what the present output adds to the
past, says nothing about the inputs that follow. The test compares the regressions of :math:`y_t` on

    [past, u_t]    and    [past, u_t, u_(t+1), ..., u_(t+future-1)]

by the likelihood ratio. The past of both signals whitens both, so that neither coloured noise nor a
coloured input raises a false alarm. Where a past of finite length does not quite do that, for plant
and input alike, a small correlation remains that long records make significant: correlations below
``NEGLIGIBLE`` are not mentioned.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from realization import InnovationSSM
from realization.internal import counted, triangular_factor

from .closed_loop import CLOSED_LOOP
from .data import Experiments
from .excitation import excites_fully, input_excitation
from .hankel_factor import HankelFactor
from .projections import ROUNDING, FactorBlocks, full_rank

__all__ = [
    "FeedbackTest",
    "data_warnings",
    "excitation_warning",
    "feedback_test",
    "suspected_feedback",
]

FEEDBACK_LEVEL = 1e-3  # probability of a false alarm
NEGLIGIBLE = 0.05  # correlation of innovations and later inputs that is no reason for a warning
HORIZON = 10  # of the test before a horizon is chosen
NEW = 1e-8  # relative size below which what a signal adds to the past is rounding
DRIFT_SHARE = 0.2  # of the variance of an output, above which a straight line is mentioned
DRIFT_RECORDS = 0.2  # time constants longer than this part of a run cannot be told from a drift


@dataclass(frozen=True, slots=True, eq=False)
class FeedbackTest:
    """Whether later inputs depend on what the outputs did unexpectedly.

    Parameters
    ----------
    p_value : float
        Probability of so much dependence in open loop; 1 where nothing can be tested.
    correlation : float
        Largest canonical correlation of the innovations and the inputs that follow.
    usual : float
        Size of that correlation in open loop, from the number of samples and of channels.
    """

    p_value: float
    correlation: float
    usual: float


def data_warnings(
    blocks: FactorBlocks,
    model: InnovationSSM,
    data: Experiments | None,
    u0: np.ndarray,
    method: str,
    route: str,
    *,
    feedthrough: bool,
    feedback: str,
) -> tuple[str, ...]:
    """Return what must be said about the data behind a model.

    Parameters
    ----------
    blocks : FactorBlocks
        The data, compressed.
    model : InnovationSSM
        What was identified, dead time left out.
    data : Experiments or None
        The records around their operating point, where they are at hand.
    u0 : (m,) ndarray
        What was subtracted from the inputs.
    method : str
        The method that made the model.
    route : str
        Where its B and D are from: "factor", "prediction" or "simulation".
    feedthrough : bool
        Whether the model could have a D.
    feedback : str
        The sentence that restricted the methods that were compared, if they were.

    Returns
    -------
    tuple of str
        Sentences with the number that was found and what to do.
    """
    found = []
    if blocks.n_inputs:
        n, future = model.n_states, blocks.future
        needed = min(future + n, blocks.past + future)
        why = f"future = {future} and {counted(n, 'state')}"
        found.append(excitation_warning(blocks, u0, needed, why))
    if feedback:
        feedback += ": only methods that allow for it were tried; name a method to have another"
    elif blocks.n_inputs and (method not in CLOSED_LOOP or route == "simulation"):
        feedback = _feedback(blocks, feedthrough)
        if feedback and method not in CLOSED_LOOP:
            feedback += ", which biases this method; method='ssarx' or 'pbsid' allows for it"
    if feedback and route == "simulation":
        feedback += ". A fit of the simulated output is biased too; focus='prediction' is not"
    found.append(feedback)
    if data is not None:
        found.append(_drift(data, model))
    return tuple(text for text in found if text)


def suspected_feedback(
    data: Experiments | None,
    factor: HankelFactor | None,
    horizon: int | None,
    *,
    remove_means: bool,
    feedthrough: bool,
) -> str:
    """Return a sentence when the inputs follow the outputs, before a method is chosen.

    Parameters
    ----------
    data : Experiments or None
        The records around their operating point.
    factor : HankelFactor or None
        The data, compressed; made of the records if not given.
    horizon : int or None
        A given horizon; None takes a usual one.
    remove_means : bool
        Project the constant out of the factor.
    feedthrough : bool
        Whether the present input may act on the present output.

    Returns
    -------
    str
        The sentence; empty without inputs, and where the records are too short to tell.
    """
    if factor is None:
        assert data is not None
        s = horizon or HORIZON
        rows = 2 * s * (data.n_outputs + data.n_inputs)
        if data.n_inputs == 0 or sum(max(len(y) - 2 * s + 1, 0) for y in data.y) < rows:
            return ""
        factor = HankelFactor.from_experiments(data, past=s, future=s)
    if factor.n_inputs == 0:
        return ""
    return _feedback(FactorBlocks.from_factor(factor, remove_means=remove_means), feedthrough)


def feedback_test(blocks: FactorBlocks, *, feedthrough: bool) -> FeedbackTest:
    """Test whether the inputs follow the outputs.

    Parameters
    ----------
    blocks : FactorBlocks
        The data.
    feedthrough : bool
        Whether the present input may act on the present output. If not, it is tested with those
        that follow: an instantaneous feedback shows nowhere else where the noise is white.

    Returns
    -------
    FeedbackTest
        The p-value (likelihood ratio with Bartlett's factor, chi-square) and the correlation.
    """
    now = blocks.n_inputs if feedthrough else 0
    known = np.vstack([blocks.Wp, blocks.Uf[:now]])
    present, later = blocks.Yf[: blocks.n_outputs], blocks.Uf[now:]
    n_past, innovations, inputs = _by_triangle(known, present, later) or _by_rank(
        known, present, later
    )
    a, b = innovations.shape[0], inputs.shape[0]
    samples = blocks.n_columns - 1 - n_past
    weight = samples - (a + b + 1) / 2
    if a == 0 or b == 0 or weight <= a * b:
        return FeedbackTest(1.0, 0.0, 1.0)
    correlations = np.linalg.svd(innovations @ inputs.T, compute_uv=False)
    statistic = -weight * np.sum(np.log1p(-(np.minimum(correlations, 1.0 - NEW) ** 2)))
    p_value = float(scipy.special.chdtrc(a * b, statistic))
    usual = (np.sqrt(a) + np.sqrt(b)) / np.sqrt(samples)
    return FeedbackTest(p_value, float(correlations[0]), float(usual))


def excitation_warning(blocks: FactorBlocks, u0: np.ndarray, needed: int, why: str) -> str:
    """Return a sentence when the input excites less than needed, else nothing.

    Parameters
    ----------
    blocks : FactorBlocks
        The data, their means removed.
    u0 : (m,) ndarray
        Those of the inputs.
    needed : int
        Order of persistent excitation that is needed.
    why : str
        What it is made of.

    Returns
    -------
    str
        The sentence, with both orders.
    """
    m = blocks.n_inputs
    inputs = np.vstack([blocks.Wp[: blocks.past * m], blocks.Uf])
    power = np.sum(inputs.reshape(-1, m, inputs.shape[1]) ** 2, axis=(0, 2))
    scale = np.sqrt(power + blocks.n_columns * u0**2)
    if excites_fully(blocks.rows[: inputs.shape[0], : inputs.shape[0]], scale):
        return ""
    found = input_excitation(inputs, scale)
    if found.order >= needed:
        return ""
    return (
        f"the input is persistently exciting of order {found.order}; {needed} are needed ({why}): "
        "what it does not excite is a guess. Take a richer input or shorter horizons"
    )


def _feedback(blocks: FactorBlocks, feedthrough: bool) -> str:
    """Return a sentence when the inputs follow the outputs."""
    test = feedback_test(blocks, feedthrough=feedthrough)
    if test.p_value >= FEEDBACK_LEVEL or test.correlation < NEGLIGIBLE:
        return ""
    which = "later" if feedthrough else "present and later"
    chance = max(test.p_value, np.finfo(float).tiny)  # below it the p-value underflows
    return (
        f"feedback is suspected: {which} inputs and the innovations have correlation "
        f"{test.correlation:.2f} (open loop: about {test.usual:.2f}; p-value {chance:.1g})"
    )


def _drift(data: Experiments, model: InnovationSSM) -> str:
    """Return a sentence when an output drifts and the model made a slow pole of it."""
    longest = max(run.shape[0] for run in data.y)
    poles = np.linalg.eigvals(model.A)
    slow = [
        z.real for z in poles if z.imag == 0 and z.real > np.exp(-1 / (DRIFT_RECORDS * longest))
    ]
    if not slow:
        return ""
    explained = np.zeros(data.n_outputs)
    total = np.zeros(data.n_outputs)
    for y in data.y:
        times = np.arange(y.shape[0]) - (y.shape[0] - 1) / 2
        total += np.sum((y - y.mean(axis=0)) ** 2, axis=0)
        explained += (times @ y) ** 2 / max(times @ times, 1.0)
    share = explained / np.where(total > 0, total, 1.0)
    worst = int(np.argmax(share))
    if share[worst] < DRIFT_SHARE:
        return ""
    return (
        f"a straight line makes up {100 * share[worst]:.0f} % of the variance of output "
        f"{data.output_names[worst]!r}, and the model has a pole at {max(slow):.6f}, too slow for "
        f"runs of {longest} samples: unless the plant drifts, use detrend(y, u) first"
    )


def _by_triangle(
    known: np.ndarray, present: np.ndarray, later: np.ndarray
) -> tuple[int, np.ndarray, np.ndarray] | None:
    """Return what `_by_rank` does, by one QR factorisation; None where ranks are in doubt."""
    k, b, rows = known.shape[0], later.shape[0], np.vstack([known, later, present])
    if rows.shape[0] > rows.shape[1] or not b:
        return None
    R = triangular_factor((rows / _norms(rows)[:, np.newaxis]).T)
    inputs, innovations = R[k : k + b, k : k + b], R[k:, k + b :]
    triangles = ((R[:k, :k], ROUNDING * k), (inputs, NEW), (innovations[b:], NEW))
    if not all(full_rank(triangle.T, at_least) for triangle, at_least in triangles):
        return None
    return k, np.linalg.qr(innovations)[0].T, np.eye(b, R.shape[0] - k)


def _by_rank(
    known: np.ndarray, present: np.ndarray, later: np.ndarray
) -> tuple[int, np.ndarray, np.ndarray]:
    """Return the rank of the past, and bases of what present outputs and later inputs add to it."""
    past = _row_space(known, _norms(known), ROUNDING * known.shape[0])
    added = []
    for rows in (present, later):
        left = rows - (rows @ past.T) @ past
        added.append(_row_space(left, _norms(rows), NEW))
    return past.shape[0], *added


def _norms(rows: np.ndarray) -> np.ndarray:
    """Return the norms of the rows, 1 for a zero row."""
    norms = np.linalg.norm(rows, axis=1)
    return np.where(norms > 0, norms, 1.0)


def _row_space(rows: np.ndarray, scale: np.ndarray, tol: float) -> np.ndarray:
    """Return an orthonormal basis of the rows divided by `scale`, directions above `tol` only."""
    _, sizes, right = np.linalg.svd(rows / scale[:, np.newaxis], full_matrices=False)
    return right[sizes > tol]
