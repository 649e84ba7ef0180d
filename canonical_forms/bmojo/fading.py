r"""The fading memory: a stable linear state-space model with trainable parameters.

::

    y_t     = C x_t + D u_t + q_t[0]            u_t (m), y_t (p), x_t (n) real
    x_{t+1} = A x_t + B u_t   (+ sum_j u_t^j N_j x_t  with gates)
    q_{t+1}[k] = q_t[k+1] + taps[k] u_t         the delay line, k = 0 ... K-1, q_t[K] = 0

y_t is made of what was stored before u_t arrived, plus D u_t: the classical convention, exact for
every eigenvalue of A, 0 included. The delay line holds what a nilpotent part would: its impulse
response is ``taps[0], ..., taps[K-1]`` at lags 1 to K, and exactly zero afterwards. It is kept by
what the past inputs will still contribute to the next K outputs, so that every initial state of a
nilpotent part can be given.

**Parameters, all real.** What export fills; everything else follows from them.

=============  ============  ===================================================================
name           shape         meaning
=============  ============  ===================================================================
``B``          (n, m)        input matrix in the coordinates of A below
``C``          (p, n)        output matrix in the same coordinates
``D``          (p, f)        feedthrough of the first ``feedthrough`` = f inputs
``taps``       (K, p, m)     impulse response of the delay line at lags 1 ... K
``gates``      see below     bilinear terms of the first ``gated`` = g inputs, if g > 0
``x0``         (n,)          buffer: x_0
``taps0``      (K, p)        buffer: q_0, what a nilpotent initial state adds to y_0 ... y_{K-1}
=============  ============  ===================================================================

``parameterization="diagonal"``, ``modes = (n_real, n_pairs)``, n = n_real + 2 n_pairs. The state is
[real modes | real parts | imaginary parts] and

    A = [ diag(r)      0         0     ]      r      = sign exp(-exp(nu_real))
        [   0       diag(a)  -diag(b)  ]      a + ib = exp(-exp(nu) + i theta)
        [   0       diag(b)   diag(a)  ]

with parameters ``nu_real`` (n_real,), ``nu`` and ``theta`` (n_pairs,) and the buffer ``sign``
(n_real,) of 1 and -1. ``nu = log(-log|lam|)`` may be any real number: \|lam| < 1 whatever training
does. ``gates`` (g, n): the eigenvalues of each N_j in the order of the state, [real | Re | Im]; all
N_j must be diagonal in the same coordinates. In complex terms, with z = x_re + i x_im:
z+ = lam z + (B_re + i B_im) u and y = C_re x_re + C_im x_im.

``parameterization="block"``, ``modes = sizes``, n = sum(sizes). A is block diagonal with blocks

    A_i = S_i L_i^-T,    L_i L_i' = I + S_i' S_i  (Cholesky)

stored as ``blocks`` (len(sizes), r, r), r the largest size, zero outside the leading part of each.
Every S_i gives \|A_i| < 1 in the spectral norm, and every such A_i has its S_i: stable by
construction, nothing is clipped. A stable matrix becomes a contraction in graded coordinates,
`contraction_coordinates`. ``gates`` (g, n, n): the N_j themselves.

`set_modes` and `set_blocks` fill the parameters of A and check them; the other arrays are copied
into place. `matrix` returns A.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import scipy
import torch
from numpy.typing import ArrayLike
from torch import nn

from realization.internal import as_choice, as_integer, require_memory

from .contraction import contraction_coordinates, require_fading
from .options import as_device, as_dtype, check_memory, mode_sizes
from .scan import METHODS, Method, dense_scan, diagonal_scan
from .signals import check_signal, check_state, require_finite_output

__all__ = ["FadingMemory", "FadingState", "contraction_coordinates", "state_shapes"]

FASTEST = 700.0  # exp(-700) is the smallest modulus that the double numbers hold comfortably


class FadingState(NamedTuple):
    """What a `FadingMemory` carries from one time to the next.

    Parameters
    ----------
    modes : (B, n) torch.Tensor
        x_t.
    taps : (B, K, p) torch.Tensor
        q_t, what the delay line will add to the next K outputs.
    """

    modes: torch.Tensor
    taps: torch.Tensor


class FadingMemory(nn.Module):
    r"""A stable linear (or gated) state-space model whose parameters torch can train.

    The module docstring states the equations and what every array means.

    Parameters
    ----------
    n_inputs, n_outputs : int
        m and p.
    modes : sequence of int
        ``(n_real, n_pairs)`` for ``"diagonal"``; the block sizes for ``"block"``.
    parameterization : {"diagonal", "block"}
        How A is stored.
    delay_taps : int, default 0
        Length K of the delay line.
    feedthrough : int, optional
        How many leading inputs act on the output at once. Default: all.
    gated : int, default 0
        How many leading inputs multiply the state. With gates, stability holds for u = 0 and must
        be checked for the inputs that occur.
    scan : {"auto", "loop", "blocked", "associative"}
        How `forward` steps through time.
    dtype : torch.dtype, optional
        float32 or float64. Default: torch's default.
    device : torch.device or str, optional
        Where the parameters live.

    Raises
    ------
    ValueError
        If a size is negative or an option is not one of those listed.

    Notes
    -----
    A new memory forgets with moduli between 0.8 and 0.99 and random phases; a `FadingMemory` that
    comes from a model does not use these values. Parameters of A, ``B`` and ``taps`` carry
    ``_no_weight_decay = True``. The recurrence runs in the precision of the parameters, autocast or
    not.

    Examples
    --------
    >>> import torch
    >>> memory = FadingMemory(1, 1, (1, 0), dtype=torch.float64)
    >>> memory.set_modes([0.5], [])
    >>> _ = memory.B.data.fill_(1.0), memory.C.data.fill_(1.0), memory.D.data.zero_()
    >>> impulse = torch.zeros(1, 5, 1, dtype=torch.float64)
    >>> impulse[0, 0] = 1.0
    >>> y, state = memory(impulse)
    >>> bool((y[0, :, 0] - torch.tensor([0.0, 1.0, 0.5, 0.25, 0.125])).abs().max() < 1e-15)
    True
    """

    x0: torch.Tensor
    taps0: torch.Tensor
    sign: torch.Tensor
    within: torch.Tensor

    def __init__(
        self,
        n_inputs: int,
        n_outputs: int,
        modes: Sequence[int],
        *,
        parameterization: Literal["diagonal", "block"] = "diagonal",
        delay_taps: int = 0,
        feedthrough: int | None = None,
        gated: int = 0,
        scan: Method = "auto",
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        modes, dtype, device = mode_sizes(modes), as_dtype(dtype), as_device(device)
        feedthrough = n_inputs if feedthrough is None else feedthrough
        check_memory(n_inputs, n_outputs, modes, parameterization, delay_taps, feedthrough, gated)
        as_choice("scan", scan, METHODS)
        diagonal = parameterization == "diagonal"
        self.n_inputs, self.n_outputs, self.modes = n_inputs, n_outputs, modes
        self.parameterization: Literal["diagonal", "block"] = parameterization
        self.delay_taps, self.feedthrough, self.gated = delay_taps, feedthrough, gated
        self.scan: Method = scan
        n = self.n_states = modes[0] + 2 * modes[1] if diagonal else sum(modes)
        new = {"dtype": dtype, "device": device}
        if diagonal:
            self.nu_real = nn.Parameter(_ring(modes[0], **new))
            self.nu = nn.Parameter(_ring(modes[1], **new))
            self.theta = nn.Parameter(torch.pi * torch.rand(modes[1], **new))
            self.register_buffer("sign", torch.ones(modes[0], **new))
        else:
            r = max(modes, default=0)
            within = torch.zeros(len(modes), r, r, dtype=torch.bool, device=device)
            for i, size in enumerate(modes):
                within[i, :size, :size] = True
            self.register_buffer("within", within, persistent=False)
            self.blocks = nn.Parameter(torch.randn(len(modes), r, r, **new) * within)
        self.B = nn.Parameter(torch.randn(n, n_inputs, **new) / max(n_inputs, 1) ** 0.5)
        self.C = nn.Parameter(torch.randn(n_outputs, n, **new) / max(n, 1) ** 0.5)
        self.D = nn.Parameter(torch.randn(n_outputs, feedthrough, **new) / max(n_inputs, 1) ** 0.5)
        self.taps = nn.Parameter(torch.zeros(delay_taps, n_outputs, n_inputs, **new))
        self.gates = None
        if gated:
            self.gates = nn.Parameter(torch.zeros(gated, *([n] if diagonal else [n, n]), **new))
        self.register_buffer("x0", torch.zeros(n, **new))
        self.register_buffer("taps0", torch.zeros(delay_taps, n_outputs, **new))
        for name, parameter in self.named_parameters():
            if name not in ("C", "D"):
                parameter._no_weight_decay = True  # type: ignore[attr-defined]

    # -- the parameters of A ---------------------------------------------------------------------

    def set_modes(self, real: ArrayLike, pairs: ArrayLike) -> None:
        """Set the eigenvalues of a diagonal memory.

        Parameters
        ----------
        real : (n_real,) array_like
            Real eigenvalues; 0 is stored as a modulus of exp(-700).
        pairs : (n_pairs,) array_like
            One complex number of each conjugate pair.

        Raises
        ------
        TypeError
            If the memory has blocks.
        ValueError
            If the counts do not match.
        UnstableModelError
            If a modulus is not below 1: no value of ``nu`` has it.
        """
        if self.parameterization != "diagonal":
            raise TypeError(
                "`set_modes` is for diagonal memories; this one has blocks: set_blocks."
            )
        real = np.asarray(real, dtype=np.float64).reshape(-1)
        pairs = np.asarray(pairs, dtype=np.complex128).reshape(-1)
        if (real.size, pairs.size) != self.modes:
            raise ValueError(
                f"`real` and `pairs` must have {self.modes[0]} and {self.modes[1]} eigenvalues; "
                f"got {real.size} and {pairs.size}."
            )
        for name, lam in (("nu_real", real), ("nu", pairs)):
            modulus = np.abs(lam)
            require_fading("an eigenvalue", float(modulus.max(initial=0.0)))
            with np.errstate(divide="ignore"):
                decay = np.minimum(-np.log(modulus), FASTEST)
            _fill(getattr(self, name), np.log(decay))
        _fill(self.theta, np.angle(pairs))
        _fill(self.sign, np.where(real < 0, -1.0, 1.0))

    def set_blocks(self, blocks: Sequence[ArrayLike]) -> None:
        """Set the diagonal blocks of a block memory.

        Parameters
        ----------
        blocks : sequence of (r_i, r_i) array_like
            Real matrices of spectral norm below 1; see `contraction_coordinates`.

        Raises
        ------
        TypeError
            If the memory is diagonal.
        ValueError
            If sizes do not match, or a block is stable but no contraction.
        UnstableModelError
            If a spectral radius is not below 1.
        """
        if self.parameterization != "block":
            raise TypeError("`set_blocks` is for block memories; this one is diagonal: set_modes.")
        matrices = [np.asarray(block, dtype=np.float64) for block in blocks]
        found = tuple(matrix.shape for matrix in matrices)
        if found != tuple((size, size) for size in self.modes):
            raise ValueError(f"`blocks` must be square of sizes {self.modes}; got shapes {found}.")
        stored = np.zeros(self.blocks.shape)
        for i, A in enumerate(matrices):
            radius = float(np.abs(np.linalg.eigvals(A)).max())
            require_fading(f"block {i}", radius)
            norm = float(np.linalg.norm(A, 2))
            if not norm < 1:
                raise ValueError(
                    f"`blocks[{i}]` must have spectral norm below 1; got {norm:.6g} (its spectral "
                    f"radius is {radius:.6g}). Use contraction_coordinates first."
                )
            G = np.linalg.cholesky(np.eye(len(A)) - A.T @ A)
            stored[i, : len(A), : len(A)] = scipy.linalg.solve_triangular(G, A.T, lower=True).T
        _fill(self.blocks, stored)

    def eigenvalues(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the eigenvalues of a diagonal memory, as precise as the device allows.

        Returns
        -------
        (n_real,) and (n_pairs,) torch.Tensor
            Real ones and one of each pair; differentiable.
        """
        real, a, b = self._decays()
        return real, torch.complex(a, b)

    def matrix(self) -> torch.Tensor:
        """Return A, as precise as the device allows.

        Returns
        -------
        (n, n) torch.Tensor
            Differentiable in the parameters.
        """
        if self.parameterization == "diagonal":
            real, a, b = self._decays()
            a, b = torch.diag(a), torch.diag(b)
            turning = torch.cat([torch.cat([a, -b], 1), torch.cat([b, a], 1)])
            return torch.block_diag(torch.diag(real), turning)
        S = _high(self.blocks) * self.within
        eye = torch.eye(S.shape[-1], dtype=S.dtype, device=S.device)
        L = torch.linalg.cholesky(eye + S.mT @ S)
        A = torch.linalg.solve_triangular(L, S.mT, upper=False).mT
        parts = [A[i, :size, :size] for i, size in enumerate(self.modes)]
        return torch.block_diag(*parts) if parts else A.new_zeros(0, 0)

    # -- running ---------------------------------------------------------------------------------

    def initial_state(self, batch: int = 1) -> FadingState:
        """Return the state before the first input.

        Parameters
        ----------
        batch : int, default 1
            Number of sequences.

        Returns
        -------
        FadingState
            ``x0`` and ``taps0``, repeated.
        """
        if not isinstance(batch, torch.SymInt):  # the size of a batch in a graph that is recorded
            as_integer("batch", batch, minimum=1)
            require_memory(f"`batch` = {batch}", batch * (1 + self.x0.numel() + self.taps0.numel()))
        return FadingState(
            self.x0.expand(batch, -1).clone(), self.taps0.expand(batch, -1, -1).clone()
        )

    def forward(
        self, u: torch.Tensor, state: FadingState | None = None
    ) -> tuple[torch.Tensor, FadingState]:
        """Run over sequences.

        Parameters
        ----------
        u : (B, L, m) torch.Tensor
            Inputs.
        state : FadingState, optional
            Where to start. Default: the initial state.

        Returns
        -------
        (B, L, p) torch.Tensor and FadingState
            Outputs, and the state after the last input.
        """
        check_signal("u", u, self.n_inputs, self.B, ndim=3)
        state = self.initial_state(u.shape[0]) if state is None else state
        check_state("state", state, state_shapes(self, u.shape[0]), self.B)
        with torch.autocast(u.device.type, enabled=False):
            u = u.to(self.B.dtype)
            x = self._states(u, state.modes)
            y = x[:, :-1] @ self.C.mT + u[..., : self.feedthrough] @ self.D.mT
            taps = state.taps
            if self.delay_taps:
                line = self._delayed(u) + nn.functional.pad(taps, (0, 0, 0, u.shape[1]))
                y, taps = y + line[:, : u.shape[1]], line[:, u.shape[1] :]
        require_finite_output(self, (y,), u=u, state=state)
        return y, FadingState(x[:, -1], taps)

    def step(self, u: torch.Tensor, state: FadingState) -> tuple[torch.Tensor, FadingState]:
        """Run over one time, in real arithmetic.

        Parameters
        ----------
        u : (B, m) torch.Tensor
            Input at this time.
        state : FadingState
            State before it.

        Returns
        -------
        (B, p) torch.Tensor and FadingState
            Output at this time, and the state after it.
        """
        check_signal("u", u, self.n_inputs, self.B, ndim=2)
        check_state("state", state, state_shapes(self, u.shape[0]), self.B)
        with torch.autocast(u.device.type, enabled=False):
            u = u.to(self.B.dtype)
            x = state.modes
            y = x @ self.C.mT + u[:, : self.feedthrough] @ self.D.mT
            after = self._turned(x, u) + u @ self.B.mT
            line = state.taps
            if self.delay_taps:
                y = y + line[:, 0]
                shifted = torch.cat([line[:, 1:], torch.zeros_like(line[:, :1])], 1)
                line = shifted + torch.einsum("kpm,bm->bkp", self.taps, u)
        require_finite_output(self, (y,), u=u, state=state)
        return y, FadingState(after, line)

    def extra_repr(self) -> str:
        """Return what ``repr`` shows of the options.

        Returns
        -------
        str
            Sizes in words.
        """
        return (
            f"{self.n_inputs} -> {self.n_outputs}, modes={self.modes}, "
            f"parameterization={self.parameterization!r}, delay_taps={self.delay_taps}"
        )

    def _delayed(self, u: torch.Tensor) -> torch.Tensor:
        """Return sum_k taps[k] u_{t-1-k} for t = 0 ... L + K - 1 (B, L + K, p)."""
        K, p, m = self.taps.shape
        past = nn.functional.pad(u, (0, 0, K, K - 1)).unfold(1, K, 1)  # (B, L + K, m, K)
        weights = self.taps.flip(0).permute(1, 2, 0).reshape(p, m * K)
        return past.reshape(*past.shape[:2], m * K) @ weights.mT

    def _decays(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the real eigenvalues, and real and imaginary parts of the others."""
        nu_real, nu, theta = (_high(v) for v in (self.nu_real, self.nu, self.theta))
        modulus = torch.exp(-torch.exp(nu))
        real = _high(self.sign) * torch.exp(-torch.exp(nu_real))
        return real, modulus * torch.cos(theta), modulus * torch.sin(theta)

    def _turned(self, x: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
        """Return (A + sum_j u^j N_j) x for x (B, n) and u (B, m)."""
        g = u[:, : self.gated]
        if self.parameterization == "block":
            turned = x @ self.matrix().to(x.dtype).mT
            if self.gates is not None:
                turned = turned + torch.einsum("bj,jrs,bs->br", g, self.gates, x)
            return turned
        r, c = self.modes
        decays = torch.cat(self._decays()).to(x.dtype)
        if self.gates is not None:
            decays = decays + g @ self.gates
        lam, a, b = decays[..., :r], decays[..., r : r + c], decays[..., r + c :]
        x_re, x_im = x[:, r : r + c], x[:, r + c :]
        return torch.cat([lam * x[:, :r], a * x_re - b * x_im, b * x_re + a * x_im], 1)

    def _states(self, u: torch.Tensor, x0: torch.Tensor) -> torch.Tensor:
        """Return x_0 ... x_L (B, L + 1, n)."""
        b = u @ self.B.mT
        x0 = x0.to(b.dtype)
        if self.parameterization == "block":
            if self.gates is not None:
                return self._gated_states(u, b, x0)
            x = dense_scan(self.matrix(), b, x0, method=self.scan)
            return torch.cat([x0[:, None], x], 1)
        r, c = self.modes
        real, pairs = self.eigenvalues()
        parts = []
        if r:
            lam = real
            if self.gates is not None:
                lam = real.to(b.dtype) + u[..., : self.gated] @ self.gates[:, :r]
            parts.append(diagonal_scan(lam, b[..., :r], x0[:, :r], method=self.scan))
        if c:
            lam = pairs
            if self.gates is not None:
                gate = torch.complex(self.gates[:, r : r + c], self.gates[:, r + c :])
                lam = pairs.to(gate.dtype) + u[..., : self.gated].to(gate.dtype) @ gate
            z = diagonal_scan(
                lam,
                torch.complex(b[..., r : r + c], b[..., r + c :]),
                torch.complex(x0[:, r : r + c], x0[:, r + c :]),
                method=self.scan,
            )
            parts += [z.real, z.imag]
        return torch.cat([x0[:, None], torch.cat([b[..., :0], *parts], -1)], 1)

    def _gated_states(self, u: torch.Tensor, b: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Return x_0 ... x_L of a gated block memory, step by step."""
        A, g, states = self.matrix().to(b.dtype), u[..., : self.gated], [x]
        for t in range(u.shape[1]):
            x = x @ A.mT + torch.einsum("bj,jrs,bs->br", g[:, t], self.gates, x) + b[:, t]
            states.append(x)
        return torch.stack(states, 1)


def state_shapes(memory: FadingMemory, batch: int) -> Any:
    """Return a state with the shapes of its tensors in their place."""
    shapes: list[Any] = [(batch, memory.n_states), (batch, *memory.taps0.shape)]
    return FadingState(*shapes)


def _ring(
    count: int, *, dtype: torch.dtype | None, device: torch.device | str | None
) -> torch.Tensor:
    """Return nu of moduli uniformly distributed (in area) between 0.8 and 0.99."""
    squares = 0.8**2 + (0.99**2 - 0.8**2) * torch.rand(count, dtype=dtype, device=device)
    return torch.log(-0.5 * torch.log(squares))


def _high(value: torch.Tensor) -> torch.Tensor:
    """Return the value in double precision where the device has it."""
    return value if value.device.type == "mps" else value.double()


@torch.no_grad()
def _fill(target: torch.Tensor, values: np.ndarray) -> None:
    """Copy an array into a parameter or buffer."""
    target.copy_(torch.as_tensor(np.asarray(values), device=target.device))
