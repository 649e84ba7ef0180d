r"""Forms that follow the eigenvalues: Schur, modal (block-diagonal), Jordan.

Schur is orthogonal and always safe. Modal splits the state into independent blocks as far as a
bound on the condition number allows. Jordan splits further than the data can support: it is a
statement about a model near the given one, and always warns.

Glossary: ``U`` Schur vectors; *block* a diagonal block that is not split further.
"""

from __future__ import annotations

import warnings

import numpy as np
import scipy

from realization import AccuracyError, NumericalWarning
from realization.internal import as_flag, as_real, counted, nilpotent_staircase

from .result import CanonicalForm, Linear, Model, as_condmax, checked_model, condition, finish

__all__ = ["jordan_form", "modal_form", "schur_form"]

CLUSTER = float(np.sqrt(np.finfo(float).eps))  # eigenvalues this close (relative) stay together


def schur_form(model: Model) -> CanonicalForm:
    r"""Make A quasi-upper triangular by an orthogonal change of coordinates.

    .. math:: U^\top A U = \begin{bmatrix} A_{11} & \cdots & * \\ & \ddots & \vdots \\
        & & A_{kk} \end{bmatrix}, \qquad U^\top U = I,

    with 1 by 1 blocks for real eigenvalues and 2 by 2 blocks for complex pairs.

    Parameters
    ----------
    model : LinearSSM, GaussianSSM, InnovationSSM, CovarianceModel or BilinearSSM
        The model. All matrices of a bilinear one are moved, only A becomes triangular.

    Returns
    -------
    CanonicalForm
        ``info["sizes"]`` lists the diagonal blocks. Not unique: the order of the eigenvalues is
        the solver's.

    Raises
    ------
    TypeError
        If `model` is no record, or is complex.

    See Also
    --------
    modal_form : Independent blocks, where they exist.

    Notes
    -----
    Costs O(n^3); the condition number of T is 1. The safe form for all computation.

    Examples
    --------
    >>> import numpy as np
    >>> from canonical_forms import schur_form
    >>> from realization import LinearSSM, markov_parameters
    >>> model = LinearSSM([[0.5, 0.2], [0.1, 0.4]], [[1.0], [0.0]], [[1.0, 1.0]])
    >>> form = schur_form(model)
    >>> bool(np.allclose(markov_parameters(form.model, 5), markov_parameters(model, 5)))
    True
    """
    name = "Schur form"
    checked_model(model, name)
    A, U = real_schur(model.A)
    sizes = schur_blocks(A)
    return finish(model, U, U.T, form=name, safer="the model as it is", exact={"A": A}, sizes=sizes)


def modal_form(model: Model, *, condmax: float = 1e4, complex: bool = False) -> CanonicalForm:
    r"""Split the state into blocks that do not act on each other.

    .. math:: T^{-1} A T = \operatorname{diag}(A_1, \dots, A_k).

    A real eigenvalue that stands alone is a 1 by 1 block, a complex pair the 2 by 2 block
    :math:`\begin{bmatrix} \sigma & \omega \\ -\omega & \sigma \end{bmatrix}`. Eigenvalues that
    only a transformation with a condition number above `condmax` could separate share a
    quasi-triangular block: so a model with a Jordan block has a modal form too.

    Parameters
    ----------
    model : LinearSSM, GaussianSSM, InnovationSSM, CovarianceModel or BilinearSSM
        The model. All matrices of a bilinear one are moved, only A becomes block-diagonal.
    condmax : float, default 1e4
        Largest condition number of T. A larger one splits more.
    complex : bool, default False
        Make the blocks of A upper triangular, a complex pair two 1 by 1 blocks: diagonal if no
        eigenvalues share a block. The record then has complex arrays.

    Returns
    -------
    CanonicalForm
        ``info["sizes"]`` lists the blocks, slowest first. Unique up to order and scale where all
        eigenvalues stand alone; it varies continuously with the data only while clusters stay
        apart.

    Raises
    ------
    TypeError
        If `model` is no record, or is complex.
    ValueError
        If `condmax` is below 1.

    See Also
    --------
    schur_form : Orthogonal, for any matrix.
    eidetic_fading_form : When eigenvalues at zero matter.

    Notes
    -----
    Bavely and Stewart's algorithm (SLICOT MB03RD) on the real Schur form, O(n^3) to O(n^4).
    Eigenvalues closer than sqrt(eps) times the largest stay together whatever `condmax` says: a
    repeated eigenvalue has no directions of its own. That A can be diagonalized is generic, not
    universal.

    References
    ----------
    C. A. Bavely and G. W. Stewart, "An algorithm for computing reducing subspaces by block
    diagonalization", SIAM Journal on Numerical Analysis 16, 1979.

    Examples
    --------
    >>> import numpy as np
    >>> from canonical_forms import modal_form
    >>> from realization import LinearSSM
    >>> A = np.array([[0.5, 1.0, 0.3], [0.0, 0.5, 0.2], [0.0, 0.0, 0.9]])
    >>> form = modal_form(LinearSSM(A, np.ones((3, 1)), np.ones((1, 3))))
    >>> form.info["sizes"]
    (1, 2)
    >>> bool(np.allclose(A @ form.T, form.T @ form.model.A))
    True
    """
    name = "modal form"
    checked_model(model, name)
    condmax = as_condmax(condmax)
    A, T, Tinv, sizes = block_diagonal(model.A, condmax, continuous=model.dt == 0.0)
    if as_flag("complex", complex):
        A, T, Tinv, sizes = complex_blocks(A, T, Tinv, sizes)
    return finish(
        model, T, Tinv, form=name, safer="schur_form", exact={"A": A}, sizes=tuple(sizes),
        condmax=condmax,
    )  # fmt: skip


def jordan_form(model: Linear, *, tol: float = 1e-4) -> CanonicalForm:
    r"""Bring A to real Jordan form, for a stated tolerance.

    .. math:: J = \operatorname{diag}(J_1, \dots, J_k), \qquad
        J_i = \begin{bmatrix} \lambda & 1 & \\ & \lambda & \ddots \\ & & \ddots \end{bmatrix};

    a complex pair has 2 by 2 blocks in place of the eigenvalue and of the ones.

    Parameters
    ----------
    model : LinearSSM, GaussianSSM, InnovationSSM or CovarianceModel
        The model.
    tol : float, default 1e-4
        Eigenvalues closer than ``tol`` times the spectral norm of A are one eigenvalue, and
        singular values below it are zero. Rounding splits an eigenvalue of a Jordan block of size
        k by about eps^(1/k) times the norm: `tol` must lie above that and below all real gaps.

    Returns
    -------
    CanonicalForm
        ``info["sizes"]`` lists the Jordan blocks (in states), ``info["eigenvalues"]`` theirs.
        The residual is of the order of what `tol` allowed to be neglected.

    Raises
    ------
    TypeError
        If `model` is no linear record, or is complex.
    ValueError
        If `tol` is not between 0 and 1.
    AccuracyError
        If no Jordan structure fits A to ten times `tol`, or that of a cluster of eigenvalues is
        not nilpotent at this `tol`: choose another.

    Warns
    -----
    NumericalWarning
        Always: the Jordan form is not a continuous function of A, and a change of the last digit
        of A changes it. The text has the residual and the condition number.

    See Also
    --------
    modal_form : The same information without pretending to exactness.

    Notes
    -----
    Clusters of eigenvalues are separated by Sylvester equations; in each, the staircase of null
    spaces of :math:`A - \lambda I` gives the sizes of the blocks, and chains are built from it.

    Examples
    --------
    >>> import warnings
    >>> import numpy as np
    >>> from canonical_forms import jordan_form
    >>> from realization import LinearSSM
    >>> A = np.array([[0.5, 2.0, 0.0], [0.0, 0.5, 0.0], [0.0, 1.0, 0.9]])
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     form = jordan_form(LinearSSM(A, np.ones((3, 1)), np.ones((1, 3))))
    >>> form.info["sizes"]
    (1, 2)
    >>> bool(np.allclose(A @ form.T, form.T @ form.model.A))
    True
    """
    name = "Jordan form"
    reason = "the N_i of a bilinear model have no part in it. Use simultaneous_form or modal_form."
    checked_model(model, name, bilinear=reason)
    tol = as_real("tol", tol, above=0.0, below=1.0)
    columns, blocks, eigenvalues = [], [], []
    smallest, largest = np.inf, 0.0
    for V, eigenvalue in _spectral_clusters(model.A, tol):
        X, sizes, margins = _cluster_chains(model.A, V, eigenvalue, tol)
        smallest, largest = min(smallest, margins[0]), max(largest, margins[1])
        start = 0
        for size in sizes:
            chain = X[:, start : start + size]
            start += size
            blocks.append(_jordan_block(eigenvalue, size))
            eigenvalues.append(eigenvalue)
            if eigenvalue.imag:
                chain = np.stack([np.real(chain), np.imag(chain)], axis=2).reshape(-1, 2 * size)
            columns.append(np.real(chain))
    T = np.concatenate([np.zeros((model.n_states, 0)), *columns], axis=1)
    J = scipy.linalg.block_diag(np.zeros((0, 0)), *blocks)
    sizes = tuple(block.shape[0] for block in blocks)
    form = finish(
        model, T, np.linalg.inv(T), form=name, safer="modal_form", exact={"A": J},
        limit=10 * tol, tol=tol, sizes=sizes, eigenvalues=np.array(eigenvalues),
        singular_values=np.array([smallest, largest]),
    )  # fmt: skip
    warnings.warn(
        f"A Jordan form is not a continuous function of the model. For tol = {tol:g} the residual "
        f"is {form.info['residual']:.1e} and the condition number of T {form.info['cond']:.1e}; "
        "modal_form is the safe alternative.",
        NumericalWarning,
        stacklevel=2,
    )
    return form


def real_schur(A: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the real Schur form and its vectors; order 0 included."""
    if A.shape[0] == 0:
        return np.zeros((0, 0)), np.zeros((0, 0))
    S, U = scipy.linalg.schur(A, output="real")[:2]
    return S, U


def schur_blocks(A: np.ndarray) -> tuple[int, ...]:
    """Return the sizes, 1 or 2, of the diagonal blocks of a real Schur form."""
    sizes, k, n = [], 0, A.shape[0]
    while k < n:
        size = 2 if k + 1 < n and A[k + 1, k] != 0 else 1
        sizes.append(size)
        k += size
    return tuple(sizes)


def block_diagonal(
    A: np.ndarray, condmax: float, *, continuous: bool = False, cluster: float = CLUSTER
) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[int]]:
    """Split a real matrix as far as cond(T) <= condmax allows.

    Parameters
    ----------
    A : (n, n) ndarray
        The matrix.
    condmax : float
        Largest condition number of T.
    continuous : bool, default False
        Order the blocks by real part, not by modulus.
    cluster : float
        Eigenvalues closer than this, relative to the largest, stay together.

    Returns
    -------
    blocks : (n, n) ndarray
        Block-diagonal, exactly.
    T : (n, n) ndarray
        A T = T blocks, columns of norm one in blocks of size 1.
    Tinv : (n, n) ndarray
        Its inverse.
    sizes : list of int
        Of the blocks, slowest first.
    """
    n = A.shape[0]
    if n == 0:
        return np.zeros((0, 0)), np.zeros((0, 0)), np.zeros((0, 0)), []
    from slycot import mb03rd

    S, U = real_schur(A)
    bound = condmax
    while bound > 1.0:
        blocks, T, counts, _ = mb03rd(n, S, U, jobx="U", sort="B", pmax=bound, tol=-cluster)
        sizes = [int(count) for count in counts if count > 0]
        T, blocks, sizes = _standard_blocks(np.asarray(T), blocks, sizes, continuous)
        if condition(T) <= condmax:
            return blocks, T, np.linalg.inv(T), sizes
        bound /= 10.0
    return S, U, U.T, [n]


def complex_blocks(
    A: np.ndarray, T: np.ndarray, Tinv: np.ndarray, sizes: list[int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[int]]:
    """Make the diagonal blocks upper triangular; the two halves of conjugate pairs are split."""
    triangular, vectors, inverses, new_sizes, start = [], [], [], [], 0
    for size in sizes:
        block = A[start : start + size, start : start + size]
        start += size
        upper = size // 2
        R, V, count = scipy.linalg.schur(
            block.astype(np.complex128), output="complex", sort=lambda value: value.imag > 0
        )
        both = np.concatenate([V[:, :upper], V[:, :upper].conj()], axis=1)
        if size == 2 * count and condition(both) < 1e4:
            R = scipy.linalg.block_diag(R[:upper, :upper], R[:upper, :upper].conj())
            vectors.append(both)
            inverses.append(np.linalg.inv(both))
            new_sizes += [upper, upper]
        else:
            vectors.append(V)
            inverses.append(V.conj().T)
            new_sizes.append(size)
        triangular.append(R)
    if not sizes:
        return A.astype(complex), T.astype(complex), Tinv.astype(complex), []
    V, Vinv = scipy.linalg.block_diag(*vectors), scipy.linalg.block_diag(*inverses)
    return scipy.linalg.block_diag(*triangular), T @ V, Vinv @ Tinv, new_sizes


def _standard_blocks(
    T: np.ndarray, blocks: np.ndarray, sizes: list[int], continuous: bool
) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Order the blocks, scale columns, write complex pairs as [[s, w], [-w, s]]."""
    parts, start = [], 0
    for size in sizes:
        V = T[:, start : start + size]
        block = blocks[start : start + size, start : start + size]
        start += size
        values = np.linalg.eigvals(block)
        if size == 1:
            V = V / np.linalg.norm(V)
        elif size == 2 and block[1, 0] != 0:
            V, block = _rotation_block(V, block)
        else:
            Q, R = np.linalg.qr(V)
            S, W = real_schur(R @ block @ np.linalg.inv(R))
            V, block = Q @ W, S
        largest = np.abs(V).argmax() // V.shape[1]
        if V[largest, 0] < 0:
            V = -V
        speed = values.real.max() if continuous else np.abs(values).max()
        parts.append((-speed, -float(np.abs(np.imag(values)).max()), len(parts), V, block))
    parts.sort(key=lambda part: part[:3])
    T = np.concatenate([part[3] for part in parts], axis=1)
    blocks = scipy.linalg.block_diag(*[part[4] for part in parts])
    return T, blocks, [part[4].shape[0] for part in parts]


def _rotation_block(V: np.ndarray, block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the columns in which a block with a complex pair is [[s, w], [-w, s]], w > 0."""
    values, vectors = np.linalg.eig(block)
    k = int(np.argmax(np.imag(values)))
    v = V @ vectors[:, k]
    v = v * np.exp(-0.5j * np.angle(v @ v)) / np.linalg.norm(v)  # orthogonal parts
    s, w = values[k].real, values[k].imag
    return np.column_stack([v.real, v.imag]) * np.sqrt(2), np.array([[s, w], [-w, s]])


def _spectral_clusters(A: np.ndarray, tol: float) -> list[tuple[np.ndarray, complex]]:
    """Return orthonormal bases of the invariant subspaces of clusters, and their eigenvalue.

    Of a conjugate pair of clusters only the one with positive imaginary part is listed.
    """
    n = A.shape[0]
    if n == 0:
        return []
    reach = tol * np.linalg.norm(A, 2)
    R, _ = scipy.linalg.schur(A, output="complex")[:2]
    values = np.diag(R)
    distance = np.abs(values[:, np.newaxis] - values)
    graph = scipy.sparse.csr_matrix(distance <= reach)
    count, labels = scipy.sparse.csgraph.connected_components(graph, directed=False)
    clusters = []
    for label in range(count):
        members = values[labels == label]
        mean = members.mean()
        if abs(mean.imag) <= reach:
            mean = complex(mean.real)
        if mean.imag < 0:
            continue
        V, size = _ordered_basis(A, members, values[labels != label])
        clusters.append((V[:, :size], mean))
    clusters.sort(key=lambda cluster: (-abs(cluster[1]), -cluster[1].imag, -cluster[1].real))
    return clusters


def _ordered_basis(
    A: np.ndarray, members: np.ndarray, others: np.ndarray
) -> tuple[np.ndarray, int]:
    """Return Schur vectors with the members of a cluster first, and how many they are."""

    def belongs(value: complex) -> bool:
        near = np.abs(members - value).min()
        return others.size == 0 or near < np.abs(others - value).min()

    _, V, size = scipy.linalg.schur(A.astype(np.complex128), output="complex", sort=belongs)
    return V, size


def _cluster_chains(
    A: np.ndarray, V: np.ndarray, eigenvalue: complex, tol: float
) -> tuple[np.ndarray, list[int], tuple[float, float]]:
    """Return Jordan chains as columns, their lengths, and the singular values around the cut."""
    scale = float(np.linalg.norm(A, 2))
    block = V.conj().T @ A @ V - eigenvalue * np.eye(V.shape[1])
    if eigenvalue.imag == 0 and np.isrealobj(A):
        V = _real_basis(V)
        block = V.T @ A @ V - eigenvalue.real * np.eye(V.shape[1])
    weight = float(np.linalg.norm(block, 2))
    relative = tol * scale / weight if weight > 0 else 1.0
    Q, W, sizes, values = nilpotent_staircase(block, relative)
    if sum(sizes) < V.shape[1]:
        raise AccuracyError(
            f"The {V.shape[1]} eigenvalues near {eigenvalue:.6g} have no Jordan form at tol = "
            f"{tol:g}: chains hold only {counted(sum(sizes), 'state')}. Choose another `tol`, or "
            "use modal_form.",
            residual=float(values[-1][-1] * weight / scale),
        )
    X, lengths = jordan_chains(W, sizes)
    flat = np.concatenate(values) * (weight / scale if scale else 0.0)
    zero, kept = flat[flat <= tol], flat[flat > tol]
    margins = (float(kept.min(initial=np.inf)), float(zero.max(initial=0.0)))
    return V @ Q @ X, lengths, margins


def _real_basis(V: np.ndarray) -> np.ndarray:
    """Return a real orthonormal basis of a subspace that is closed under conjugation."""
    left, _, _ = np.linalg.svd(np.column_stack([np.real(V), np.imag(V)]), full_matrices=False)
    return left[:, : V.shape[1]]


def _jordan_block(eigenvalue: complex, size: int) -> np.ndarray:
    """Return the real Jordan block of a real eigenvalue or of a conjugate pair."""
    shift = np.eye(size, k=1)
    if eigenvalue.imag == 0:
        return eigenvalue.real * np.eye(size) + shift
    s, w = eigenvalue.real, eigenvalue.imag
    return np.kron(np.eye(size), [[s, w], [-w, s]]) + np.kron(shift, np.eye(2))


def jordan_chains(W: np.ndarray, sizes: list[int]) -> tuple[np.ndarray, list[int]]:
    """Return T with T^-1 W T made of shift blocks, for the staircase W of a nilpotent matrix.

    Parameters
    ----------
    W : (k, k) ndarray
        Strictly block upper triangular.
    sizes : list of int
        Its Weyr characteristic.

    Returns
    -------
    T : (k, k) ndarray
        Chains W^(L-1) v, ..., W v, v side by side, the longest first.
    lengths : list of int
        Their lengths, not increasing.
    """
    edges = np.concatenate([[0], np.cumsum(sizes)]).astype(int)
    heads: list[tuple[np.ndarray, int]] = []
    for level in range(len(sizes), 0, -1):
        low, high = edges[level - 1], edges[level]
        longer = [np.linalg.matrix_power(W, L - level) @ v for v, L in heads]
        images = np.array([v[low:high] for v in longer]).reshape(len(longer), high - low).T
        complete = np.linalg.qr(images, mode="complete")[0]
        for direction in complete[:, len(longer) :].T:
            v = np.zeros(W.shape[0], dtype=W.dtype)
            v[low:high] = direction
            heads.append((v, level))
    columns = [
        np.linalg.matrix_power(W, power) @ v for v, L in heads for power in range(L - 1, -1, -1)
    ]
    T = np.array(columns, dtype=W.dtype).reshape(W.shape[0], W.shape[0]).T
    return T, [L for _, L in heads]
