r"""Realization of an impulse response: Ho and Kalman, Kung's singular value form, ERA.

::

    H_ij = h_(i+j-1)    block Hankel matrix of the Markov parameters, i <= rows, j <= columns
    H = O R             O = [C; CA; CA^2; ...],  R = [B, AB, A^2 B, ...]
    O_up A = O_down     O without its last, and without its first, block row
"""

from __future__ import annotations

import numpy as np
import scipy
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike

from ._linalg import rank_tolerance
from ._validation import as_array, as_integer
from ._words import counted, outputs_and_inputs
from .models import LinearSSM

__all__ = ["ho_kalman"]


def ho_kalman(
    markov: ArrayLike,
    order: int,
    *,
    rows: int | None = None,
    columns: int | None = None,
    dt: float = 1.0,
) -> LinearSSM:
    r"""Realize Markov parameters as a model of given order.

    Finds (A, B, C, D) with

    .. math:: h_0 = D, \qquad h_k = C A^{k-1} B, \quad k \ge 1,

    exactly if the Markov parameters are those of a system of this order, approximately (balanced
    truncation of the block Hankel matrix) if they are noisy or belong to a larger system.

    Parameters
    ----------
    markov : (count, p, m) array_like
        Markov parameters, `D` first; 1-D means one input and one output.
    order : int
        State dimension.
    rows : int, optional
        Block rows of the Hankel matrix; default: half of `count`, or what `columns` leaves.
    columns : int, optional
        Block columns; default: what `rows` leaves. ``rows + columns`` must not exceed `count`.
    dt : float, default 1.0
        Sample time of the model returned.

    Returns
    -------
    LinearSSM
        In coordinates that balance the finite Hankel matrix: the observability and the
        reachability factor have the same squared column and row norms, the singular values.

    Raises
    ------
    TypeError
        If `markov` are not numbers, or `order`, `rows` or `columns` is not an integer.
    ValueError
        If `markov` has another shape, if there are too few Markov parameters for `order` with
        these `rows` and `columns`, or if `order` exceeds the numerical rank of the Hankel matrix
        (singular values above ``max(shape) * eps`` times the largest).

    See Also
    --------
    markov_parameters : The way back.

    Notes
    -----
    A singular value decomposition of the (rows p, columns m) Hankel matrix
    :math:`H = U \Sigma V^\top`, cut after `order` terms; :math:`O = U \Sigma^{1/2}`,
    :math:`R = \Sigma^{1/2} V^\top`; B and C are their first blocks and A is the least-squares
    solution of :math:`O_\uparrow A = O_\downarrow`, computed from the orthonormal U. Cost
    :math:`O(\text{rows}\,p\,(\text{columns}\,m)^2)`: give `rows` and `columns` when `count` runs
    to thousands. For noisy data take many more rows and columns than the order.

    References
    ----------
    Ho and Kalman (1966); Kung (1978); Juang and Pappa (1985).

    Examples
    --------
    >>> import numpy as np
    >>> import realization
    >>> model = realization.LinearSSM([[0.9, 0.2], [0.0, 0.5]], [[0.0], [1.0]], [[1.0, 0.0]])
    >>> h = realization.markov_parameters(model, 20)
    >>> found = realization.ho_kalman(h, order=2)
    >>> bool(np.allclose(realization.markov_parameters(found, 20), h, atol=1e-13))
    True
    """
    h = as_array("markov", markov)
    if h.ndim == 1:
        h = h[:, np.newaxis, np.newaxis]
    if h.ndim != 3 or 0 in h.shape:
        raise ValueError(
            f"`markov` must have shape (count, p, m), D first, none of them 0; got {h.shape}."
        )
    order = as_integer("order", order)
    count, p, m = h.shape
    if order == 0:
        return LinearSSM(np.zeros((0, 0)), np.zeros((0, m)), np.zeros((p, 0)), h[0], dt=dt)
    rows, columns = _hankel_size(count, p, m, order, rows, columns)
    windows = sliding_window_view(h[1:], columns, axis=0)[:rows]  # (rows, p, m, columns)
    hankel = windows.transpose(0, 1, 3, 2).reshape(rows * p, columns * m)
    U, sigma, Vh = scipy.linalg.svd(hankel, full_matrices=False)
    rank = int((sigma > rank_tolerance(hankel.shape, sigma[0])).sum())
    if order > rank:
        values = ", ".join(f"{s:.3g}" for s in sigma[: rank + 1])
        raise ValueError(
            f"`order` must not exceed the rank {rank} of the Hankel matrix of these Markov "
            f"parameters; got {order}. Its leading singular values are {values}."
        )
    U, scale = U[:, :order], np.sqrt(sigma[:order])
    upper = U[:-p]
    shift, _, found, _ = scipy.linalg.lstsq(upper, U[p:], cond=rank_tolerance(upper.shape, 1.0))
    if found < order:
        raise ValueError(
            f"`rows` = {rows} is too small: {counted(rows - 1, 'block row')} can determine {found} "
            f"of {counted(order, 'state')}. Ask for more rows, or a smaller order."
        )
    A = shift * scale / scale[:, np.newaxis]
    return LinearSSM(A, scale[:, np.newaxis] * Vh[:order, :m], U[:p] * scale, h[0], dt=dt)


def _hankel_size(
    count: int, p: int, m: int, order: int, rows: int | None, columns: int | None
) -> tuple[int, int]:
    """Return the block rows and columns, defaults filled in, that hold `order` states."""
    least_rows, least_columns = -(-order // p) + 1, -(-order // m)
    channels = outputs_and_inputs(p, m)
    if least_rows + least_columns > count:
        raise ValueError(
            f"`markov` must hold at least {counted(least_rows + least_columns, 'Markov parameter')}"
            f" (D included) for order {order} with {channels}; got {count}."
        )
    if rows is None and columns is None:
        rows = min(max((count + 1) // 2, least_rows), count - least_columns)
    if rows is None:
        rows = max(count - as_integer("columns", columns, minimum=1), 0)
    if columns is None:
        columns = max(count - as_integer("rows", rows, minimum=1), 0)
    rows, columns = as_integer("rows", rows), as_integer("columns", columns)
    if rows + columns > count:
        raise ValueError(
            f"`rows` + `columns` must not exceed the number of Markov parameters, {count}; got "
            f"{rows} + {columns}."
        )
    if rows < least_rows or columns < least_columns:
        raise ValueError(
            f"`rows` must be at least {least_rows} and `columns` at least {least_columns} for "
            f"order {order} with {channels}; got {rows} and {columns}."
        )
    return rows, columns
