r"""A layer with a fading memory, a window of attention, and an eidetic memory behind it.

::

    y_t = C x_t + D u_t              the fading memory, a state-space model
        + gate * o_proj(attention)   over chosen tokens, fading outputs and the window
    e_t = target_t - prediction_t    the innovation: what the predictor did not know
    token t is a candidate for the eidetic memory when e_t' S^-1 e_t exceeds a quantile

`BMojoLayer.memory` simulates (A, B, C, D). `BMojoLayer.predictor` is the same model with the
measured past: for an innovation model x+ = A x + B u + K e it has the matrix A - K C and the inputs
[u; y] with input matrix [B - K D, K]. ``gate`` is zero at first, so that a layer that was given an
identified model *is* that model; everything else starts as usual, so that gradients flow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import scipy
import torch
from torch import nn

from realization.internal import counted

from .attention import Attention
from .eidetic_memory import EideticState, empty_slots, merge, normalized_innovation, schedule
from .fading import FadingMemory, FadingState, state_shapes
from .options import as_device, as_dtype, check_options, mode_sizes
from .scan import Method
from .signals import check_signal, check_state, require_finite_output
from .state import BMojoOutput, BMojoState

__all__ = ["BMojoLayer"]


class BMojoLayer(nn.Module):
    r"""A state-space model, attention to a window, and an eidetic memory of surprises.

    .. math:: y_t = C x_t + D u_t + g \odot W_o\,\mathrm{softmax}(q_t^\top [k_{\text{eidetic}},
        k_{\text{fading}}, k_{\text{window}}])\,[v_{\text{eidetic}}, v_{\text{fading}},
        v_{\text{window}}]

    Parameters
    ----------
    n_inputs : int
        Channels m of a token.
    n_outputs : int, optional
        Channels p of the output. Default: m.
    modes : sequence of int, default (0, 32)
        ``(n_real, n_pairs)`` of a diagonal fading memory, or the sizes of its blocks.
    parameterization : {"diagonal", "block"}
        How the fading memory stores its matrix.
    delay_taps : int, default 0
        Length of its delay line.
    gated : int, default 0
        How many leading inputs multiply its state (bilinear models).
    predictor_modes, predictor_parameterization, predictor_taps, predictor_gated : optional
        The same of the predictor. Default: as the memory.
    target : {"output", "input"}
        What the predictor predicts: an output signal ``y`` that is given beside the tokens, or the
        tokens themselves.
    window : int, default 64
        W, the tokens that attention reads verbatim; 0 leaves attention out.
    eidetic : int, default 32
        E, the slots of the eidetic memory.
    n_heads : int, default 1
        Attention heads.
    head_dim : int, optional
        Channels of a head. Default: m / n_heads, at least 8.
    tie_kv : bool, optional
        Whether tokens and fading outputs share key and value projections. Default: if m = p.
    alpha : float, default 0.01
        Level of the innovation test: the fraction of tokens that pass when the model is right.
    threshold : float, optional
        Bound on :math:`e_t^\top S^{-1} e_t`. Default: the chi-squared quantile of 1 - alpha.
    chunk : int, optional
        Decisions of a chunk are readable from the next one on. Default: 1, each token.
    scan : {"auto", "loop", "blocked", "associative"}
        How the recurrences are computed.
    dt : float, default 1.0
        Sample time of the model, carried along.
    dtype : torch.dtype or str, optional
        float32 or float64. Default: torch's default.
    device : torch.device or str, optional
        Where the parameters live.

    Raises
    ------
    ValueError
        If a size or an option is out of its range, or parts contradict each other.

    See Also
    --------
    BMojoStack : Several layers on a residual stream.

    Notes
    -----
    ``forward`` takes O(L (n + (4W + E) d)) operations and, on a CPU, about 3 sqrt(L) steps of the
    scan; ``chunk=1`` gathers the memory once for each token, so that L E keys are held: chunks of
    some 16 tokens train faster. ``step`` takes one token, in real arithmetic and with fixed shapes,
    and can be exported; it returns the same numbers. Without ``y`` a predictor of outputs waits.

    ``memory``, ``predictor`` and the scores run in the precision of their parameters, with or
    without autocast. Each call sums input and output once to find NaN, which waits for a GPU.

    References
    ----------
    L. Zancato et al., "B'MOJO: Hybrid state space realizations of foundation models with eidetic
    and fading memory", arXiv:2407.06324, 2024. The formulas here are our reading of it.

    Examples
    --------
    Tokens that come one by one give what the sequence gave:

    >>> import torch
    >>> layer = BMojoLayer(3, 2, (1, 2), window=4, eidetic=2, dtype=torch.float64)
    >>> _ = layer.gate.data.fill_(1.0)
    >>> x, y = torch.randn(5, 20, 3), torch.randn(5, 20, 2)
    >>> whole = layer(x, y=y)
    >>> state, parts = layer.initial_state(5), []
    >>> for t in range(20):
    ...     out = layer.step(x[:, t], state, y[:, t])
    ...     state = out.state
    ...     parts.append(out.y)
    >>> bool((torch.stack(parts, 1) - whole.y).abs().max() < 1e-12)
    True
    """

    S_chol: torch.Tensor

    def __init__(
        self,
        n_inputs: int,
        n_outputs: int | None = None,
        modes: Sequence[int] = (0, 32),
        *,
        parameterization: Literal["diagonal", "block"] = "diagonal",
        delay_taps: int = 0,
        gated: int = 0,
        predictor_modes: Sequence[int] | None = None,
        predictor_parameterization: Literal["diagonal", "block"] | None = None,
        predictor_taps: int | None = None,
        predictor_gated: int | None = None,
        target: Literal["output", "input"] = "output",
        window: int = 64,
        eidetic: int = 32,
        n_heads: int = 1,
        head_dim: int | None = None,
        tie_kv: bool | None = None,
        alpha: float = 0.01,
        threshold: float | None = None,
        chunk: int | None = None,
        scan: Method = "auto",
        dt: float = 1.0,
        dtype: torch.dtype | str | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        p = n_inputs if n_outputs is None else n_outputs
        dtype, device = as_dtype(dtype), as_device(device)
        check_options(
            n_inputs, p, target, window, eidetic, n_heads, head_dim, tie_kv, alpha, threshold,
            chunk, dt,
        )  # fmt: skip
        by_output = target == "output"
        predicted = p if by_output else n_inputs
        if head_dim is None:
            head_dim = max(8, -(-n_inputs // n_heads))
        if threshold is None:
            threshold = float(scipy.special.chdtri(predicted, alpha))
        memory: dict[str, Any] = {
            "modes": mode_sizes(modes), "parameterization": parameterization,
            "delay_taps": delay_taps, "gated": gated,
        }  # fmt: skip
        own = {
            "modes": predictor_modes, "parameterization": predictor_parameterization,
            "delay_taps": predictor_taps, "gated": predictor_gated,
        }  # fmt: skip
        predictor = memory | {key: value for key, value in own.items() if value is not None}
        new: dict[str, Any] = {"dtype": dtype, "device": device}
        self.n_inputs, self.n_outputs, self.target = n_inputs, p, target
        self.window, self.eidetic, self.chunk = window, eidetic, 1 if chunk is None else chunk
        self.n_heads, self.head_dim = n_heads, head_dim
        self.alpha, self.threshold, self.dt = alpha, threshold, dt
        self.provenance: dict[str, str] = {}
        self.memory = FadingMemory(n_inputs, p, **memory, scan=scan, **new)
        self.predictor = FadingMemory(
            n_inputs + p if by_output else n_inputs,
            predicted,
            **predictor,
            feedthrough=n_inputs if by_output else 0,
            scan=scan,
            **new,
        )
        self.register_buffer("S_chol", torch.eye(predicted, **new))
        self.attention = self.gate = None
        if window:
            tied = n_inputs == p if tie_kv is None else tie_kv
            self.attention = Attention(
                n_inputs, p, p, window=window, n_heads=n_heads, head_dim=head_dim, tied=tied, **new
            )
            self.gate = nn.Parameter(torch.zeros(p, **new))

    def config(self) -> dict[str, Any]:
        """Return the options that rebuild this layer, in types that JSON has.

        Returns
        -------
        dict
            Keyword arguments of `BMojoLayer`; its ``state_dict`` holds the rest.
        """
        tied = None if self.attention is None else self.attention.k_proj_ is None
        options: dict[str, Any] = {"n_inputs": self.n_inputs, "n_outputs": self.n_outputs}
        for prefix, part in (("", self.memory), ("predictor_", self.predictor)):
            options |= {
                f"{prefix}modes": list(part.modes),
                f"{prefix}parameterization": part.parameterization,
                f"{prefix}taps" if prefix else "delay_taps": part.delay_taps,
                f"{prefix}gated": part.gated,
            }
        return options | {
            "target": self.target,
            "window": self.window,
            "eidetic": self.eidetic,
            "n_heads": self.n_heads,
            "head_dim": self.head_dim,
            "tie_kv": tied,
            "alpha": self.alpha,
            "threshold": self.threshold,
            "chunk": self.chunk,
            "scan": self.memory.scan,
            "dt": self.dt,
            "dtype": str(self.S_chol.dtype).removeprefix("torch."),
        }

    def initial_state(self, batch: int = 1) -> BMojoState:
        """Return the state before the first token.

        Parameters
        ----------
        batch : int, default 1
            Number of sequences.

        Returns
        -------
        BMojoState
            The models at ``x0``, the memories empty.
        """
        memory, predictor = (each.initial_state(batch) for each in (self.memory, self.predictor))
        S, W, heads = self.S_chol, self.window, (self.n_heads, self.head_dim)
        window, fading = S.new_zeros(batch, W, *heads), S.new_zeros(batch, 2 * W, *heads)
        return BMojoState(
            memory,
            predictor,
            window,
            window.clone(),
            fading,
            fading.clone(),
            empty_slots(window, self.eidetic, S.dtype),
            empty_slots(window, self.eidetic, S.dtype),
            torch.zeros((), dtype=torch.int64, device=S.device),
        )

    def forward(
        self, x: torch.Tensor, state: BMojoState | None = None, y: torch.Tensor | None = None
    ) -> BMojoOutput:
        """Run over sequences in parallel.

        Parameters
        ----------
        x : (B, L, m) torch.Tensor
            Tokens.
        state : BMojoState, optional
            Where to start. Default: the initial state.
        y : (B, L, p) torch.Tensor, optional
            The signal that the predictor predicts, for ``target="output"``. It decides what the
            eidetic memory keeps and enters the output in no other way.

        Returns
        -------
        BMojoOutput
            Outputs, the state after the last token, innovations and the outcome of the test.

        Raises
        ------
        TypeError, ValueError
            If a signal or the state does not fit this layer, or a number is not finite.
        """
        self._check_signals(x, y, 3)
        state = self.initial_state(x.shape[0]) if state is None else state
        check_state("state", state, self._state_shapes(x.shape[0]), self.S_chol)
        x = x.to(self.S_chol.dtype)
        linear, memory = self.memory(x, state.memory)
        innovation, predictor, score, selected = self._test(x, y, state.predictor, self.predictor)
        after = state._replace(memory=memory, predictor=predictor, time=state.time + x.shape[1])
        if self.attention is None or self.gate is None:
            return BMojoOutput(linear, after, innovation, selected)
        attention, W, start = self.attention, self.window, int(state.time)
        tokens, fading = attention.token_memory(x), attention.fading_memory(linear)
        time = start + torch.arange(x.shape[1], device=x.device).expand(x.shape[:2])
        candidates = EideticState(*tokens, score, torch.where(selected, time, -1))
        read, eidetic, pending = schedule(
            state.eidetic, state.pending, candidates, start, self.chunk
        )
        window_keys, window_values, fading_keys, fading_values = (
            torch.cat([past, new], 1)
            for past, new in zip(state[2:6], (*tokens, *fading), strict=True)
        )
        attended = attention(
            attention.queries(x),
            (window_keys, window_values),
            (fading_keys, fading_values),
            read,
            start,
            self.chunk,
        )
        after = after._replace(
            window_keys=window_keys[:, -W:], window_values=window_values[:, -W:],
            fading_keys=fading_keys[:, -2 * W :], fading_values=fading_values[:, -2 * W :],
            eidetic=eidetic, pending=pending,
        )  # fmt: skip
        output = linear + self.gate * attended
        require_finite_output(self, (output,), x=x, y=y, state=state)
        return BMojoOutput(output, after, innovation, selected)

    def step(
        self, x: torch.Tensor, state: BMojoState, y: torch.Tensor | None = None
    ) -> BMojoOutput:
        """Run over one token, in real arithmetic.

        Parameters
        ----------
        x : (B, m) torch.Tensor
            The token.
        state : BMojoState
            State before it.
        y : (B, p) torch.Tensor, optional
            The signal that the predictor predicts, for ``target="output"``.

        Returns
        -------
        BMojoOutput
            As from ``forward``, without the time axis.

        Raises
        ------
        TypeError, ValueError
            If a signal or the state does not fit this layer, or a number is not finite.
        """
        self._check_signals(x, y, 2)
        check_state("state", state, self._state_shapes(x.shape[0]), self.S_chol)
        x = x.to(self.S_chol.dtype)
        linear, memory = self.memory.step(x, state.memory)
        innovation, predictor, score, selected = self._test(
            x, y, state.predictor, self.predictor.step
        )
        after = state._replace(memory=memory, predictor=predictor, time=state.time + 1)
        if self.attention is None or self.gate is None:
            return BMojoOutput(linear, after, innovation, selected)
        attention, W = self.attention, self.window
        tokens, fading = attention.token_memory(x), attention.fading_memory(linear)
        window_keys, window_values, fading_keys, fading_values = (
            torch.cat([past[:, 1:], new[:, None]], 1)
            for past, new in zip(state[2:6], (*tokens, *fading), strict=True)
        )
        attended = attention.step(
            attention.queries(x),
            (window_keys, window_values),
            (fading_keys[:, :W], fading_values[:, :W]),
            state.eidetic,
            state.time,
        )
        eidetic, pending = state.eidetic, state.pending
        if self.eidetic:
            position = torch.where(selected, state.time, -1)
            new = EideticState(*(part[:, None] for part in (*tokens, score, position)))
            pending = merge(pending, new)
            commit = (state.time + 1) % self.chunk == 0
            joined = merge(eidetic, pending)
            empty = empty_slots(pending.keys, self.eidetic, score.dtype)
            eidetic = EideticState(*map(torch.where, [commit] * 4, joined, eidetic))
            pending = EideticState(*map(torch.where, [commit] * 4, empty, pending))
        after = after._replace(
            window_keys=window_keys, window_values=window_values,
            fading_keys=fading_keys, fading_values=fading_values,
            eidetic=eidetic, pending=pending,
        )  # fmt: skip
        output = linear + self.gate * attended
        require_finite_output(self, (output,), x=x, y=y, state=state)
        return BMojoOutput(output, after, innovation, selected)

    def surprise(self, innovation: torch.Tensor) -> torch.Tensor:
        r"""Return the score by which tokens are chosen.

        Parameters
        ----------
        innovation : (..., q) torch.Tensor
            Innovations.

        Returns
        -------
        (...) torch.Tensor
            :math:`e^\top S^{-1} e`, the normalized innovation squared. Override it to choose by
            another rule.
        """
        check_signal("innovation", innovation, len(self.S_chol), self.S_chol)
        return normalized_innovation(innovation.to(self.S_chol.dtype), self.S_chol)

    @torch.no_grad()
    def calibrate(self, x: torch.Tensor, y: torch.Tensor | None = None) -> None:
        """Set S to the covariance of the innovations of these sequences.

        Parameters
        ----------
        x : (B, L, m) torch.Tensor
            Tokens.
        y : (B, L, p) torch.Tensor, optional
            The signal that the predictor predicts, for ``target="output"``.

        Raises
        ------
        ValueError
            If ``y`` is missing for ``target="output"``, or S is singular: more samples than
            channels are needed.
        """
        self._check_signals(x, y, 3)
        if self.target == "output" and y is None:
            raise ValueError("`y` is what the predictor predicts; pass it to calibrate.")
        x = x.to(self.S_chol.dtype)
        start = self.predictor.initial_state(x.shape[0])
        innovation, *_ = self._test(x, y, start, self.predictor)
        assert innovation is not None
        e = innovation.flatten(0, 1).double()
        S = e.mT @ e / e.shape[0]
        require_finite_output(self, (S,), x=x, y=y)
        S_chol, failed = torch.linalg.cholesky_ex(S)
        if failed:
            raise ValueError(
                "The innovations of `x` have a singular covariance "
                f"({counted(e.shape[0], 'sample')} of {counted(e.shape[1], 'channel')}). Pass more "
                "samples, or fewer channels."
            )
        self.S_chol.copy_(S_chol)

    def extra_repr(self) -> str:
        """Return what ``repr`` shows of the options.

        Returns
        -------
        str
            Sizes in words.
        """
        return (
            f"{self.n_inputs} -> {self.n_outputs}, window={self.window}, eidetic={self.eidetic}, "
            f"chunk={self.chunk}, target={self.target!r}"
        )

    def _test(
        self, x: torch.Tensor, y: torch.Tensor | None, state: FadingState, run: Any
    ) -> tuple[torch.Tensor | None, FadingState, torch.Tensor, torch.Tensor]:
        """Return innovations, the predictor's state, scores (-inf if rejected) and decisions."""
        if self.target == "output" and y is None:
            selected = torch.zeros(x.shape[:-1], dtype=torch.bool, device=x.device)
            return None, state, x.new_full(x.shape[:-1], -torch.inf), selected
        aim = x if y is None else y.to(x.dtype)
        inputs = x if y is None else torch.cat([x, aim], -1)
        prediction, state = run(inputs, state)
        innovation = aim - prediction
        with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
            score = self.surprise(innovation)
            selected = score > self.threshold
            score = torch.where(selected, score, -torch.inf)
        return innovation, state, score, selected

    def _state_shapes(self, batch: int) -> BMojoState:
        """Return a state with the shapes of its tensors in their place."""
        heads, slots = (self.n_heads, self.head_dim), (batch, self.eidetic)
        window, fading = (batch, self.window, *heads), (batch, 2 * self.window, *heads)
        models = [state_shapes(part, batch) for part in (self.memory, self.predictor)]
        stored: list[Any] = [(*slots, *heads), (*slots, *heads), slots, slots]
        kept = EideticState(*stored)
        shapes: list[Any] = [*models, window, window, fading, fading, kept, kept, ()]
        return BMojoState(*shapes)

    def _check_signals(self, x: torch.Tensor, y: torch.Tensor | None, ndim: int) -> None:
        """Raise unless tokens and target fit this layer."""
        check_signal("x", x, self.n_inputs, self.S_chol, ndim=ndim)
        if y is None:
            return
        if self.target == "input":
            raise ValueError("`y` is not used with target='input': the layer predicts its tokens.")
        check_signal("y", y, self.n_outputs, self.S_chol, ndim=ndim)
        if y.shape != (*x.shape[:-1], self.n_outputs):
            raise ValueError(
                f"`y` must have shape {(*x.shape[:-1], self.n_outputs)} to match `x`; got "
                f"{tuple(y.shape)}."
            )
