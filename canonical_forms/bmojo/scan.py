r"""Linear recurrences over long sequences in torch, with their gradients.

::

    diagonal_scan    x_t = lam x_{t-1} + b_t        lam (N,) or, varying with time, (B, L, N)
    dense_scan       x_t = A x_{t-1} + b_t          A (N, N)

Both take ``b`` (B, L, N) and ``x0`` (B, N), real or complex, and return x_1 ... x_L (B, L, N).

Three methods give the same numbers up to rounding. ``loop`` is the recurrence as it stands: L steps
of N numbers each. ``blocked`` cuts time into about sqrt(L) blocks: one pass steps all blocks at
once from zero and keeps their last states, a short recurrence joins these, a second pass steps all
blocks from the states they really start with. Twice the arithmetic, 3 sqrt(L) steps instead of L,
no division, and no product but those of decays, so that nothing overflows. ``associative`` is
torch's own prototype of a parallel scan.

The gradient of a recurrence is the same recurrence backwards in time,
``g_t = dx_t + conj(lam) g_{t+1}``, so the backward pass is a scan and is differentiable itself.
Autograd through the loop would keep a graph of L nodes instead.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch

from realization.internal import as_choice

__all__ = ["METHODS", "Method", "dense_scan", "diagonal_scan"]

Method = Literal["auto", "loop", "blocked", "associative"]
METHODS = ("auto", "loop", "blocked", "associative")
SHORT = 64  # up to here the loop is the fastest


def diagonal_scan(
    lam: torch.Tensor, b: torch.Tensor, x0: torch.Tensor, *, method: Method = "auto"
) -> torch.Tensor:
    """Return x_t = lam x_{t-1} + b_t for t = 1 ... L, from x_0.

    Parameters
    ----------
    lam : (N,) or (B, L, N) torch.Tensor
        The decays. A constant ``lam`` may be more precise than ``b``: its powers are then formed
        in its own precision.
    b : (B, L, N) torch.Tensor
        What enters at each time.
    x0 : (B, N) torch.Tensor
        The state before the first step.
    method : {"auto", "loop", "blocked", "associative"}
        ``"auto"`` takes the loop for short sequences and blocks otherwise.

    Returns
    -------
    (B, L, N) torch.Tensor
        All states, in the precision of ``b``.
    """
    return _Scan.apply(lam, b, x0, _chosen(method, b.shape[1]), False, False)


def dense_scan(
    A: torch.Tensor, b: torch.Tensor, x0: torch.Tensor, *, method: Method = "auto"
) -> torch.Tensor:
    """Return x_t = A x_{t-1} + b_t for t = 1 ... L, from x_0.

    Parameters
    ----------
    A : (N, N) torch.Tensor
        The transition; it may be more precise than ``b``.
    b : (B, L, N) torch.Tensor
        What enters at each time.
    x0 : (B, N) torch.Tensor
        The state before the first step.
    method : {"auto", "loop", "blocked", "associative"}
        As in `diagonal_scan`. There is no associative scan of matrices here, it would need
        N times the memory: blocks are used.

    Returns
    -------
    (B, L, N) torch.Tensor
        All states, in the precision of ``b``.
    """
    return _Scan.apply(A, b, x0, _chosen(method, b.shape[1]), True, False)


def _chosen(method: str, length: int) -> str:
    """Return the method to use for a sequence of this length."""
    if as_choice("scan", method, METHODS) == "auto":
        return "loop" if length <= SHORT else "blocked"
    return method


class _Scan(torch.autograd.Function):
    """The recurrence, forward or (``reverse``) backward in time, and its adjoint."""

    @staticmethod
    def forward(
        A: torch.Tensor,
        b: torch.Tensor,
        x0: torch.Tensor,
        method: str,
        dense: bool,
        reverse: bool,
    ) -> torch.Tensor:
        """Return the states."""
        if method == "associative" and not dense:
            return _associative(A.to(b.dtype), b, x0, reverse)
        if method == "loop" or b.shape[1] == 0:
            return _loop(A.to(b.dtype), b, x0, torch.empty_like(b), dense, reverse)
        return _blocked(A, b, x0, dense, reverse)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        """Keep the states for the gradient of A."""
        A, _, x0, *options = inputs
        ctx.save_for_backward(A, output, x0)
        ctx.options = options

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Return the gradients of A, b and x0: the recurrence with time running the other way."""
        (dx,) = grads
        A, x, x0 = ctx.saved_tensors
        method, dense, reverse = ctx.options
        if x.shape[1] == 0:
            return torch.zeros_like(A), torch.zeros_like(x), torch.zeros_like(x0), None, None, None
        varying = not dense and A.ndim == 3
        first = -1 if reverse else 0
        before, after = (slice(1, None), slice(None, -1))[:: 1 if reverse else -1]
        adjoint = (A.mT if dense else A).conj().resolve_conj()
        if varying:
            # g_t needs the decay of the step after t; beyond the end nothing follows.
            zero = torch.zeros_like(adjoint[:, :1])
            parts = (zero, adjoint[:, after]) if reverse else (adjoint[:, after], zero)
            adjoint = torch.cat(parts, 1)
        start = torch.zeros_like(x0)
        g = _Scan.apply(adjoint, dx.contiguous(), start, method, dense, not reverse)
        low = A.to(x.dtype)
        if dense:
            d_x0 = g[:, first] @ low.conj()
            d_A = torch.einsum("bti,btj->ij", g[:, after], x[:, before].conj())
            d_A = d_A + torch.einsum("bi,bj->ij", g[:, first], x0.conj())
        else:
            d_x0 = g[:, first] * (low[:, first] if varying else low).conj()
            d_first = (g[:, first] * x0.conj())[:, None]
            if varying:
                d_rest = g[:, after] * x[:, before].conj()
                d_A = torch.cat((d_rest, d_first) if reverse else (d_first, d_rest), 1)
            else:
                d_A = torch.linalg.vecdot(x[:, before], g[:, after], dim=1) + d_first[:, 0]
                d_A = d_A.sum(0)
        d_A = d_A if A.is_complex() or not d_A.is_complex() else d_A.real
        return d_A.to(A.dtype), g, d_x0, None, None, None


def _advance(
    A: torch.Tensor, x: torch.Tensor, b: torch.Tensor, out: torch.Tensor | None, dense: bool
) -> torch.Tensor:
    """Return A x + b, written to ``out`` if there is one."""
    if not dense:
        return torch.addcmul(b, A, x) if out is None else torch.addcmul(b, A, x, out=out)
    x = (x @ A.mT).add_(b)
    return x if out is None else out.copy_(x)


def _loop(
    A: torch.Tensor,
    b: torch.Tensor,
    x: torch.Tensor,
    out: torch.Tensor,
    dense: bool,
    reverse: bool,
) -> torch.Tensor:
    """Step through time, one time after the other; time is axis 1."""
    varying = not dense and A.ndim == 3
    for t in reversed(range(b.shape[1])) if reverse else range(b.shape[1]):
        x = _advance(A[:, t] if varying else A, x, b[:, t], out[:, t], dense)
    return out


def _blocked(
    A: torch.Tensor, b: torch.Tensor, x0: torch.Tensor, dense: bool, reverse: bool
) -> torch.Tensor:
    """Step all of about sqrt(L) blocks at once, join them, and step again."""
    length = b.shape[1]
    steps = math.isqrt(length)
    count = length // steps
    whole = count * steps
    low = A.to(b.dtype)
    varying = not dense and A.ndim == 3
    rest = low[:, whole:] if varying else low
    out = b.clone(memory_format=torch.contiguous_format)
    if reverse and whole < length:
        x0 = _loop(rest, out[:, whole:], x0, out[:, whole:], dense, reverse)[:, 0]
    x = out[:, :whole].unflatten(1, (count, steps))
    decays = low[:, :whole].unflatten(1, (count, steps)) if varying else low
    order = range(steps)[:: -1 if reverse else 1]
    # One pass from zero: what each block adds to the state, and by how much it damps it.
    ends = x[:, :, order[0]].clone()
    damping = decays[:, :, order[0]].clone() if varying else low
    for i in order[1:]:
        _advance(decays[:, :, i] if varying else low, ends, x[:, :, i], ends, dense)
        if varying:
            damping *= decays[:, :, i]
    if not varying:
        damping = (torch.linalg.matrix_power(A, steps) if dense else A**steps).to(b.dtype)
    # The states from which the blocks start.
    state, starts = x0, torch.empty_like(ends)
    for j in reversed(range(count)) if reverse else range(count):
        starts[:, j] = state
        state = _advance(damping[:, j] if varying else damping, state, ends[:, j], None, dense)
    # The second pass is the first with these.
    state = starts
    for i in order:
        decay = decays[:, :, i] if varying else low
        state = _advance(decay, state, x[:, :, i], x[:, :, i], dense)
    if not reverse and whole < length:
        _loop(rest, out[:, whole:], out[:, whole - 1], out[:, whole:], dense, reverse)
    return out


def _associative(
    lam: torch.Tensor, b: torch.Tensor, x0: torch.Tensor, reverse: bool
) -> torch.Tensor:
    """Run torch's prototype, where it exists."""
    try:
        from torch._higher_order_ops.associative_scan import associative_scan
    except ImportError:
        raise ImportError(
            f"scan='associative' needs an associative scan, which torch {torch.__version__} does "
            "not have. Use scan='auto'."
        ) from None
    lam, b = lam.expand_as(b).contiguous(), b.clone()
    first = b.shape[1] - 1 if reverse else 0
    b[:, first] += lam[:, first] * x0

    def join(
        earlier: tuple[torch.Tensor, torch.Tensor], later: tuple[torch.Tensor, torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the decay and the drive of two steps in a row."""
        return earlier[0] * later[0], later[0] * earlier[1] + later[1]

    return associative_scan(join, (lam, b), dim=1, reverse=reverse, combine_mode="generic")[1]
