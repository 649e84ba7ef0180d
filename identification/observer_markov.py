r"""OKID: Markov parameters of an observer from any input, then a model by Ho and Kalman (ERA).

Glossary, with the symbols of Juang, Phan, Horta and Longman (1993)::

    Xi_k    observer Markov parameters  C (A - KC)^(k-1) [B - KD, K]     Y-bar_k
    h_k     system Markov parameters    C A^(k-1) B, h_0 = D             Y_k
    g_k     gain Markov parameters      C A^(k-1) K, g_0 = I             Y^o_k
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from realization import InnovationSSM, ho_kalman
from realization.internal import as_choice, as_integer, counted, outputs_and_inputs

from .data import Experiments
from .data_checks import excitation_warning
from .evidence import record_evidence
from .input_matrices import InputMatrices, from_data
from .model_repair import stability_warnings
from .noise_model import NOISE_FLOOR
from .predictor_factor import by_lag, predictor_blocks, predictor_factor, predictor_width
from .preparation import deviations, require_rank
from .projections import ROUNDING, FactorBlocks, regress
from .result import IdentificationResult
from .validation import MAX_GROWTH, growth, residual_covariance

__all__ = ["okid"]

DEFAULT_LAGS = 20


def okid(
    y: Any,
    u: Any,
    order: int,
    *,
    lags: int | None = None,
    dt: float = 1.0,
    feedthrough: bool = True,
    offset: Literal["estimate", "none"] = "estimate",
) -> IdentificationResult:
    r"""Identify a model through the Markov parameters of an observer (OKID/ERA).

    Least squares for the observer Markov parameters :math:`\Xi_k` of

    .. math:: y_t = D u_t + \sum_{k=1}^{s} (\Xi^u_k u_{t-k} + \Xi^y_k y_{t-k}) + e_t,

    then those of the system and of its gain by recursion,

    .. math:: h_k = \Xi^u_k + \sum_{i=1}^{k} \Xi^y_i h_{k-i}, \qquad
        g_k = \sum_{i=1}^{k} \Xi^y_i g_{k-i},

    then (A, [B, K], C) from the Hankel matrix of :math:`[h_k, g_k]` by ``ho_kalman``.

    Parameters
    ----------
    y : array_like, DataFrame, Experiments or list of arrays
        Outputs (T, p), time first; a list holds several experiments.
    u : array_like, DataFrame or list of them
        Inputs (T, m) of any kind, in the same form; None when `y` brings them.
    order : int
        State dimension.
    lags : int, optional
        Number s of observer Markov parameters, at least ``order / p + 1``; default 20, less on
        short records.
    dt : float, default 1.0
        Sample time.
    feedthrough : bool, default True
        Estimate D; False sets D = 0.
    offset : str, default "estimate"
        "estimate" identifies around an estimated operating point, "none" uses the data as they are.

    Returns
    -------
    IdentificationResult
        The model with its gain K, the singular values of the Hankel matrix, fits, initial states
        and warnings.

    Raises
    ------
    TypeError
        If the data are not real numbers, or `order` or `lags` not an integer.
    ValueError
        If there are no inputs, shapes disagree, a sample is missing, the record is too short for
        the lags, or the order cannot be had.

    See Also
    --------
    subspace_id : Projections instead of impulse responses, and an order that is chosen.
    realization.ho_kalman : From a measured impulse response.

    Notes
    -----
    The equations start `lags` samples after the start of each experiment, where a deadbeat observer
    has forgotten the initial state: nothing is assumed of it, and it is fitted at the end. The
    observer is what makes few lags enough for a plant with little damping: not the plant's response
    must have died out after them, but the observer's. Without noise the observer is not unique, any
    of them gives the same system, and K is set to 0; with noise it tends to the Kalman predictor.
    As the predictor is estimated with the past outputs in it, feedback does no harm. The Hankel
    matrix has `lags` block rows and columns, channels scaled to equal power: units do not matter.
    Cost O(T (s (m + p))^2).

    References
    ----------
    J.-N. Juang, M. Phan, L. G. Horta and R. W. Longman, "Identification of observer/Kalman filter
    Markov parameters: theory and experiments", J. Guidance, Control and Dynamics 16, 1993.

    Examples
    --------
    >>> import numpy as np
    >>> from identification import okid
    >>> from realization import LinearSSM, markov_parameters, simulate
    >>> plant = LinearSSM([[0.9, 0.4], [-0.4, 0.9]], [[1.0], [0.5]], [[1.0, 0.0]], [[0.1]])
    >>> u = np.random.default_rng(0).standard_normal(500)
    >>> result = okid(simulate(plant, u, x0=[3.0, -5.0]).y, u, 2)
    >>> error = markov_parameters(result.model, 20) - markov_parameters(plant, 20)
    >>> bool(np.abs(error).max() < 1e-10)
    True
    """
    as_choice("offset", offset, ("estimate", "none"))
    raw = Experiments.from_data(y, u, dt=dt)
    if raw.n_inputs == 0:
        raise ValueError("`u` is missing: okid needs inputs. Without any, use stochastic_id.")
    n = as_integer("order", order)
    s = _lags(raw, n, lags)
    data, y0, u0 = deviations(raw, offset == "estimate")
    p, m = data.n_outputs, data.n_inputs
    R = predictor_factor(data, s)
    blocks = predictor_blocks(R, s, p, m, remove_means=offset == "estimate")
    h, g, errors = _markov(blocks, feedthrough=feedthrough)
    power = np.mean(np.vstack(data.y) ** 2, axis=0)
    noise_free = errors.sum() <= NOISE_FLOOR * power.sum()
    model, sizes = _realize(h, g, np.zeros(p) if noise_free else errors, power, data, n)
    said = []
    if text := excitation_warning(blocks, u0, s + 1, f"lags = {s} and the present"):
        said.append(text)
    if noise_free:
        said.append("the data are noise-free to rounding, where no observer is the best: K is 0")
    K = model.K if np.any(model.K) else None
    known = InputMatrices(model.B, model.D)
    x0, y_offset = (), np.zeros(p)
    if growth(model.A if K is None else model.A - model.K @ model.C, data) <= MAX_GROWTH:
        fitted = from_data(
            model.A, model.C, K, data,
            known=known, estimate_offset=offset == "estimate",
        )  # fmt: skip
        x0, y_offset = fitted.x0, np.asarray(fitted.y_offset) + np.zeros(p)
        model = replace(model, Re=residual_covariance(model, data, y_offset))
    fits, whiteness = record_evidence(model, data, y_offset)
    said += stability_warnings(model)
    return IdentificationResult(
        model=replace(model, dt=raw.dt),
        x0=x0,
        singular_values=sizes,
        order_table=None,
        method="okid",
        options={"lags": s, "offset": offset, "feedthrough": feedthrough},
        offset=(y0 + y_offset, u0),
        warnings=tuple(said),
        fits=fits,
        whiteness=whiteness,
        n_samples=raw.n_samples,
        output_names=raw.output_names,
        input_names=raw.input_names,
    )


def _lags(data: Experiments, order: int, lags: int | None) -> int:
    """Return the number of lags that the record allows: as given, or 20, less on a short one."""
    p, m = data.n_outputs, data.n_inputs

    def equations(lags: int) -> int:
        """Return how many samples have so many before them."""
        return sum(max(run.shape[0] - lags, 0) for run in data.y)

    least = max(-(-order // p) + 1, 2)
    if lags is None:
        lags = max(DEFAULT_LAGS, least)
        while lags > least and equations(lags) < 2 * predictor_width(lags, p, m):
            lags -= 1
    if as_integer("lags", lags, minimum=1) < least:
        raise ValueError(
            f"`lags` must be at least {least} for order {order} with {counted(p, 'output')}; got "
            f"{lags}."
        )
    width = predictor_width(lags, p, m)
    if (count := equations(lags)) < width:
        raise ValueError(
            f"too few samples: lags = {lags} with {outputs_and_inputs(p, m)} need {width} "
            f"equations; got {count} from {counted(data.n_samples, 'sample')} in "
            f"{counted(len(data), 'experiment')}. Take fewer lags or more data."
        )
    return lags


def _markov(
    blocks: FactorBlocks, *, feedthrough: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return h (2 s, p, m), g (2 s, p, p), and the power of the errors of each output."""
    s, p, m = blocks.past, blocks.n_outputs, blocks.n_inputs
    known = np.vstack([blocks.Wp, blocks.Uf]) if feedthrough else blocks.Wp
    theta = regress(blocks.Yf, known)
    errors = np.sum((blocks.Yf - theta @ known) ** 2, axis=1)
    on_inputs, on_outputs, D = by_lag(theta, s, m)
    h, g = np.zeros((2 * s, p, m)), np.zeros((2 * s, p, p))
    if feedthrough:
        h[0] = D
    g[0] = np.eye(p)
    h[1 : s + 1] = on_inputs[: 2 * s - 1]
    for k in range(1, 2 * s):
        for i in range(1, min(k, s) + 1):
            h[k] += on_outputs[i - 1] @ h[k - i]
            g[k] += on_outputs[i - 1] @ g[k - i]
    return h, g, errors


def _realize(
    h: np.ndarray, g: np.ndarray, errors: np.ndarray, power: np.ndarray, data: Experiments, n: int
) -> tuple[InnovationSSM, np.ndarray]:
    """Return the model by Ho and Kalman, channels scaled to equal power, and singular values."""
    p, m = data.n_outputs, data.n_inputs
    of_outputs = np.sqrt(np.where(power > 0, power, 1.0))
    input_power = np.mean(np.vstack(data.u) ** 2, axis=0)
    columns = np.sqrt(np.concatenate([np.where(input_power > 0, input_power, 1.0), errors]))
    joint = np.concatenate([h, g], axis=2) * columns / of_outputs[:, np.newaxis]
    joint = joint[:, :, columns > 0]
    rows = h.shape[0] // 2
    windows = sliding_window_view(joint[1:], h.shape[0] - rows, axis=0)[:rows]
    hankel = windows.transpose(0, 1, 3, 2).reshape(rows * p, -1)
    sizes = np.linalg.svd(hankel, compute_uv=False)
    # with outputs of power 1, what is smaller than this is rounding of the regression
    rounding = ROUNDING * max(hankel.shape) * max(sizes[0], 1.0)
    require_rank(n, int((sizes > rounding).sum()))
    found = ho_kalman(joint, n)
    gains = np.zeros((n, m + p))
    gains[:, columns > 0] = found.B / columns[columns > 0]
    C = found.C * of_outputs[:, np.newaxis]
    return InnovationSSM(found.A, C, gains[:, m:], np.diag(errors), B=gains[:, :m], D=h[0]), sizes
