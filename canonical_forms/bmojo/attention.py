r"""One softmax over three memories: chosen tokens, fading outputs and the window.

The query of time i reads

=========  ============================  ==========================================
memory     positions                     what is stored there
=========  ============================  ==========================================
eidetic    at most i - 2W, chosen        tokens, in at most E slots
fading     i - 2W + 1 ... i - W          outputs of the fading memory
window     i - W + 1 ... i               tokens
=========  ============================  ==========================================

With no eidetic slots this is the fading-memory half of the published layer: one softmax over 2W
keys. Tokens and fading outputs have projections of their own unless they are tied.

Sequences are cut into blocks of W queries. The keys that a block can see in the window, and those
it can see in the fading memory, both lie in two consecutive blocks, at the same offsets: query a of
a block reads the offsets a + 1 ... a + W. Memory and work are O(L (4W + E)).
"""

from __future__ import annotations

import torch
from torch import nn

from .eidetic_memory import EideticState

__all__ = ["Attention"]


class Attention(nn.Module):
    """Projections and the joint softmax.

    Parameters
    ----------
    n_tokens, n_fading, n_outputs : int
        Channels of tokens, of fading outputs and of the result.
    window : int
        W.
    n_heads, head_dim : int
        H and d.
    tied : bool
        Whether tokens and fading outputs share their projections (they need equal sizes).
    dtype : torch.dtype, optional
        Of the parameters.
    device : torch.device or str, optional
        Of the parameters.
    """

    def __init__(
        self,
        n_tokens: int,
        n_fading: int,
        n_outputs: int,
        *,
        window: int,
        n_heads: int,
        head_dim: int,
        tied: bool,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        self.window, self.n_heads, self.head_dim = window, n_heads, head_dim
        width, new = n_heads * head_dim, {"bias": False, "dtype": dtype, "device": device}
        self.q_proj = nn.Linear(n_tokens, width, **new)
        self.k_proj = nn.Linear(n_tokens, width, **new)
        self.v_proj = nn.Linear(n_tokens, width, **new)
        self.k_proj_ = None if tied else nn.Linear(n_fading, width, **new)
        self.v_proj_ = None if tied else nn.Linear(n_fading, width, **new)
        self.o_proj = nn.Linear(width, n_outputs, **new)

    def queries(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return scaled queries (..., H, d) of tokens (..., m)."""
        return self._heads(self.q_proj(tokens)) * self.head_dim**-0.5

    def token_memory(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return keys and values (..., H, d) of tokens (..., m)."""
        return self._heads(self.k_proj(tokens)), self._heads(self.v_proj(tokens))

    def fading_memory(self, outputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return keys and values (..., H, d) of outputs of the fading memory (..., p)."""
        k_proj, v_proj = self.k_proj_ or self.k_proj, self.v_proj_ or self.v_proj
        return self._heads(k_proj(outputs)), self._heads(v_proj(outputs))

    def forward(
        self,
        q: torch.Tensor,
        window: tuple[torch.Tensor, torch.Tensor],
        fading: tuple[torch.Tensor, torch.Tensor],
        eidetic: EideticState,
        start: int,
        chunk: int,
    ) -> torch.Tensor:
        """Attend from L queries in parallel.

        Parameters
        ----------
        q : (B, L, H, d) torch.Tensor
            Scaled queries of the times ``start`` ... ``start + L - 1``.
        window : pair of (B, W + L, H, d) torch.Tensor
            Keys and values of the tokens from time ``start - W``.
        fading : pair of (B, 2W + L, H, d) torch.Tensor
            The same of the fading outputs, from time ``start - 2W``.
        eidetic : EideticState
            What each chunk reads, axes (B, chunks, E, ...).
        start : int
            Time of the first query.
        chunk : int
            Chunks begin at the multiples of this time.

        Returns
        -------
        (B, L, p) torch.Tensor
            After the output projection.
        """
        W, (length, slots) = self.window, (q.shape[1], eidetic.score.shape[2])
        blocks = -(-length // W)
        tail = blocks * W - length
        cut = nn.functional.pad(q, (0, 0, 0, 0, 0, tail)).unflatten(1, (blocks, W))
        keys, values = zip(
            *((_pairs(part, blocks, W) for part in pair) for pair in (fading, window)), strict=True
        )
        a = torch.arange(W, device=q.device)[:, None]
        k = torch.arange(2 * W, device=q.device)
        band = (a < k) & (k <= a + W)
        begin = start + W * torch.arange(blocks, device=q.device)[:, None, None]
        logits = [
            (torch.einsum("bnahd,bnkhd->bhnak", cut, key)).masked_fill(
                ~(band & (begin - reach + k >= 0)), -torch.inf
            )
            for key, reach in zip(keys, (2 * W, W), strict=True)
        ]
        if slots:
            logits.append(
                self._eidetic_logits(q, eidetic, start, chunk, tail).unflatten(2, (-1, W))
            )
        weights = torch.softmax(torch.cat(logits, -1), -1).to(values[0].dtype)
        parts = weights.split([2 * W, 2 * W, slots], -1)
        out = sum(
            torch.einsum("bhnak,bnkhd->bnahd", part, value)
            for part, value in zip(parts, values, strict=False)
        )
        out = out.flatten(1, 2)[:, :length]  # type: ignore[union-attr]
        if slots:
            chosen = parts[2].flatten(2, 3)[:, :, :length]
            chosen = _in_chunks(chosen.transpose(1, 2), start, chunk)
            read = torch.einsum("bnahe,bnehd->bnahd", chosen, eidetic.values)
            offset = start % chunk
            out = out + read.flatten(1, 2)[:, offset : offset + length]
        return self.o_proj(out.flatten(2))

    def step(
        self,
        q: torch.Tensor,
        window: tuple[torch.Tensor, torch.Tensor],
        fading: tuple[torch.Tensor, torch.Tensor],
        eidetic: EideticState,
        time: torch.Tensor,
    ) -> torch.Tensor:
        """Attend from one query.

        Parameters
        ----------
        q : (B, H, d) torch.Tensor
            Scaled query of this time.
        window, fading : pairs of (B, W, H, d) torch.Tensor
            Keys and values that it reads, oldest first.
        eidetic : EideticState
            Committed tokens, axes (B, E, ...).
        time : () torch.Tensor
            This time.

        Returns
        -------
        (B, p) torch.Tensor
            After the output projection.
        """
        W = self.window
        ago = torch.arange(W, device=q.device)
        seen = torch.cat([time - 2 * W + 1 + ago >= 0, time - W + 1 + ago >= 0])
        chosen = (eidetic.position >= 0) & (eidetic.position <= time - 2 * W)
        seen = torch.cat([seen.expand(q.shape[0], -1), chosen], 1)
        keys = torch.cat([fading[0], window[0], eidetic.keys], 1)
        values = torch.cat([fading[1], window[1], eidetic.values], 1)
        logits = torch.einsum("bhd,bkhd->bhk", q, keys)
        weights = torch.softmax(logits.masked_fill(~seen[:, None], -torch.inf), -1)
        out = torch.einsum("bhk,bkhd->bhd", weights.to(values.dtype), values)
        return self.o_proj(out.flatten(1))

    def _heads(self, x: torch.Tensor) -> torch.Tensor:
        """Split the last axis into heads."""
        return x.unflatten(-1, (self.n_heads, self.head_dim))

    def _eidetic_logits(
        self, q: torch.Tensor, eidetic: EideticState, start: int, chunk: int, tail: int
    ) -> torch.Tensor:
        """Return the logits of the chosen tokens (B, H, L + tail, E)."""
        offset, length = start % chunk, q.shape[1]
        logits = torch.einsum("bnahd,bnehd->bhnae", _in_chunks(q, start, chunk), eidetic.keys)
        count, size = logits.shape[2:4]
        times = start - offset + torch.arange(count * size, device=q.device).view(count, size)
        position = eidetic.position[:, None, :, None]
        seen = (position >= 0) & (position <= times[..., None] - 2 * self.window)
        logits = logits.masked_fill(~seen, -torch.inf).flatten(2, 3)
        logits = logits[:, :, offset : offset + length]
        return nn.functional.pad(logits, (0, 0, 0, tail))


def _pairs(x: torch.Tensor, blocks: int, W: int) -> torch.Tensor:
    """Return blocks (B, blocks, 2W, H, d) that start every W times and overlap."""
    size = (blocks + 1) * W
    x = nn.functional.pad(x[:, :size], (0, 0, 0, 0, 0, max(0, size - x.shape[1])))
    x = x.unflatten(1, (blocks + 1, W))
    return torch.cat([x[:, :-1], x[:, 1:]], 2)


def _in_chunks(x: torch.Tensor, start: int, chunk: int) -> torch.Tensor:
    """Cut (B, L, H, k) into the chunks that begin at multiples of a time, padded with zeros."""
    offset = start % chunk
    count = -(-(offset + x.shape[1]) // chunk)
    after = count * chunk - offset - x.shape[1]
    return nn.functional.pad(x, (0, 0, 0, 0, offset, after)).unflatten(1, (count, chunk))
