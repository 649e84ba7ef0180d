r"""From word coefficients back to a bilinear model.

::

    H[v, w] = c(w v)        Hankel matrix: rows are words v (p rows each), columns words w (m each);
                            w acts first
    H_i[v, w] = c(w i v)    the same with the letter i in between, i = 0 for A
    H = O R                 O[v] = C A_v,  R[w] = A_w B  (A_w the product of the word's matrices)
    H_i = O A_i R
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping

import numpy as np
import scipy
from numpy.typing import ArrayLike

from ._linalg import rank_tolerance
from ._validation import as_array, as_integer, as_items
from .bilinear import BilinearSSM

__all__ = ["bilinear_hankel_realization"]

Word = tuple[int, ...]


def bilinear_hankel_realization(
    coefficients: Mapping[Word, ArrayLike],
    order: int,
    *,
    rows: Iterable[Word] | None = None,
    columns: Iterable[Word] | None = None,
    D: ArrayLike | None = None,
    dt: float = 1.0,
) -> BilinearSSM:
    r"""Realize word coefficients as a bilinear model of given order.

    Finds A, N, B, C with :math:`c(w_1 \dots w_k) = C A_{w_k} \cdots A_{w_1} B`, exactly if the
    coefficients are those of a model of this order, approximately if they are noisy or belong to a
    larger one. Coefficients are those of a model of order n exactly when their Hankel matrix has
    rank at most n.

    Parameters
    ----------
    coefficients : mapping
        From words (tuples of letters, 0 for A and i for N_i, first letter acting first) to (p, m)
        arrays, or to numbers when p = m = 1. See `word_coefficients`.
    order : int
        State dimension.
    rows, columns : iterable of words, optional
        The words of the Hankel matrix; both must contain the empty word. Default: all words of
        length up to L // 2 and (L - 1) // 2, L the greatest length such that all words up to L are
        given. For an exact model of order n words up to n - 1 suffice.
    D : (p, m) array_like, optional
        Feedthrough of the model returned; default zero.
    dt : float, default 1.0
        Sample time of the model returned; 0.0 means continuous time.

    Returns
    -------
    BilinearSSM
        In coordinates that balance the finite Hankel matrix.

    Raises
    ------
    TypeError
        If `coefficients` is not a mapping from tuples, `rows` or `columns` is not a list of
        tuples, or `order` is not an integer.
    ValueError
        If a coefficient that the rows and columns need is missing, if shapes disagree, or if
        `order` exceeds the rank of the Hankel matrix (singular values above ``max(shape) * eps``
        times the largest).

    See Also
    --------
    word_coefficients : The way back.
    kernel_coefficients : Coefficients from Volterra kernels, and so from experiments.

    Notes
    -----
    A singular value decomposition :math:`H = U \Sigma V^\top` cut after `order` terms gives
    :math:`O = U \Sigma^{1/2}, R = \Sigma^{1/2} V^\top`; C and B are their blocks of the empty word,
    and :math:`A_i = \Sigma^{-1/2} U^\top H_i V \Sigma^{-1/2}`. The matrix has
    :math:`(m+1)^{L/2}` block rows: for many inputs or a large order pass selected words.

    References
    ----------
    P. D'Alessandro, A. Isidori and A. Ruberti, "Realization and structure theory of bilinear
    dynamical systems", SIAM Journal on Control 12(3), 1974.

    Examples
    --------
    >>> import numpy as np
    >>> from realization import BilinearSSM, bilinear_hankel_realization, word_coefficients
    >>> N = [[[0.1, 0.3], [0.0, 0.2]]]
    >>> model = BilinearSSM([[0.5, 0.1], [0.2, 0.3]], N, [[1.0], [0.0]], [[1.0, 1.0]])
    >>> c = word_coefficients(model, 5)
    >>> found = word_coefficients(bilinear_hankel_realization(c, 2), 5)
    >>> all(np.allclose(found[word], c[word], atol=1e-13) for word in c)
    True
    """
    order = as_integer("order", order)
    table, p, m = _checked_coefficients(coefficients)
    length = _complete_length(table, m)
    rows = _checked_words("rows", rows, m, length // 2)
    columns = _checked_words("columns", columns, m, (length - 1) // 2)
    hankel = _hankel(table, rows, (), columns, p, m)
    U, sigma, Vh = scipy.linalg.svd(hankel, full_matrices=False)
    rank = int((sigma > rank_tolerance(hankel.shape, sigma[0])).sum())
    if order > rank:
        values = ", ".join(f"{s:.3g}" for s in sigma[: rank + 1])
        raise ValueError(
            f"`order` must not exceed the rank {rank} of the Hankel matrix of these coefficients; "
            f"got {order}. Its leading singular values are {values}. Give longer words, or a "
            "smaller order."
        )
    scale = np.sqrt(sigma[:order])
    left, right = U[:, :order] / scale, Vh[:order].conj().T / scale
    letters = [
        left.conj().T @ _hankel(table, rows, (i,), columns, p, m) @ right for i in range(m + 1)
    ]
    first_row, first_column = rows.index(()) * p, columns.index(()) * m
    B = scale[:, np.newaxis] * Vh[:order, first_column : first_column + m]
    C = U[first_row : first_row + p, :order] * scale
    N = np.array(letters[1:]).reshape(m, order, order)
    return BilinearSSM(letters[0], N, B, C, D, dt=dt)


def _checked_coefficients(
    coefficients: Mapping[Word, ArrayLike],
) -> tuple[dict[Word, np.ndarray], int, int]:
    """Return the coefficients as (p, m) arrays, with p and m."""
    if not isinstance(coefficients, Mapping) or not all(
        isinstance(word, tuple) for word in coefficients
    ):
        raise TypeError(
            "`coefficients` must be a mapping from words, tuples of letters, to arrays; got "
            f"{type(coefficients).__name__}."
        )
    if () not in coefficients:
        raise ValueError("`coefficients` must contain that of the empty word, C B; it is missing.")
    shape = np.atleast_2d(as_array("coefficients[()]", coefficients[()])).shape
    if len(shape) != 2 or 0 in shape:
        raise ValueError(
            f"`coefficients` must have shape (p, m), neither of them 0; got {shape} for the empty "
            "word."
        )
    table = {}
    for word, value in coefficients.items():
        table[word] = np.atleast_2d(as_array(f"coefficients[{word}]", value))
        if table[word].shape != shape:
            raise ValueError(
                f"`coefficients` must all have shape {shape}; got {table[word].shape} for the word "
                f"{word}."
            )
    return table, *shape


def _complete_length(table: dict[Word, np.ndarray], m: int) -> int:
    """Return the greatest L such that all words of at most L letters are there."""
    length = 0
    while all(w in table for w in itertools.product(range(m + 1), repeat=length + 1)):
        length += 1
    return length


def _checked_words(name: str, words: Iterable[Word] | None, m: int, length: int) -> list[Word]:
    """Return the words asked for; by default all of at most `length` letters."""
    if words is None:
        lengths = range(max(length, 0) + 1)
        return [w for k in lengths for w in itertools.product(range(m + 1), repeat=k)]
    words = as_items(name, words, "words, tuples of letters")
    if not all(isinstance(word, tuple) for word in words):
        raise TypeError(f"`{name}` must be a list of words, tuples of letters; got {words}.")
    if () not in words:
        raise ValueError(f"`{name}` must contain the empty word; got {words}.")
    return words


def _hankel(
    table: dict[Word, np.ndarray],
    rows: list[Word],
    middle: Word,
    columns: list[Word],
    p: int,
    m: int,
) -> np.ndarray:
    """Return the matrix (rows p, columns m) with blocks c(w middle v)."""
    blocks = np.empty((len(rows), p, len(columns), m), np.result_type(*table.values()))
    for i, v in enumerate(rows):
        for j, w in enumerate(columns):
            word = w + middle + v
            if word not in table:
                raise ValueError(
                    f"`coefficients` must contain the word {word}, which the row {v} and the "
                    f"column {w} need; it is missing."
                )
            blocks[i, :, j] = table[word]
    return blocks.reshape(len(rows) * p, len(columns) * m)
