r"""Layers on a residual stream, and how much each of them leaves predictable.

::

    r_0 = x        r_{l+1} = r_l + layer_l(r_l)        y = r_L

Each layer predicts what it receives. If its innovations are white, nothing linear is left to
explain for a layer of this memory; if they are not, the statistic says at which layer.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import scipy
import torch
from torch import nn

from realization.internal import as_instance, as_integer, counted, sized

from .layer import BMojoLayer
from .signals import check_signal
from .state import BMojoState

__all__ = ["BMojoStack", "StackOutput", "Whiteness"]


class StackOutput(NamedTuple):
    """What a `BMojoStack` returns; without the time axis from ``step``.

    Parameters
    ----------
    y : (B, L, d) torch.Tensor
        The residual stream behind the last layer.
    state : tuple of BMojoState
        State of each layer after the last token.
    innovations : tuple of (B, L, d) torch.Tensor
        What each layer did not predict of its own input.
    selected : tuple of (B, L) torch.Tensor
        Which tokens passed the innovation test of each layer.
    """

    y: torch.Tensor
    state: tuple[BMojoState, ...]
    innovations: tuple[torch.Tensor, ...]
    selected: tuple[torch.Tensor, ...]

    def __repr__(self) -> str:
        return f"StackOutput({sized(y=self.y)}, {counted(len(self.state), 'layer')})"


class Whiteness(NamedTuple):
    """The portmanteau test of one layer's innovations.

    Parameters
    ----------
    statistic : float
        Q, chi-squared for white innovations.
    degrees : int
        Its degrees of freedom, d squared times the number of lags.
    p_value : float
        Probability of a larger Q for white innovations: small means that something is left.
    """

    statistic: float
    degrees: int
    p_value: float


class BMojoStack(nn.Module):
    r"""Several layers, each reading the residual stream that the ones before it wrote.

    .. math:: r_0 = x, \qquad r_{l+1} = r_l + \mathrm{layer}_l(r_l), \qquad y = r_L

    Parameters
    ----------
    layers : iterable of BMojoLayer
        With as many outputs as inputs, all alike, and ``target="input"``.
    normalize : bool, default False
        Whether each layer reads its input divided by its root mean square over channels (times a
        trainable gain). Deep stacks train better so; a stack of linear layers stays linear without.

    Raises
    ------
    ValueError
        If there is no layer, or one does not fit.

    See Also
    --------
    BMojoLayer : One of them.

    Examples
    --------
    >>> import torch
    >>> layers = [BMojoLayer(2, 2, (0, 1), target="input", window=2, eidetic=0) for _ in range(2)]
    >>> stack = BMojoStack(layers)
    >>> x = torch.randn(1, 30, 2)
    >>> bool(torch.equal(stack(x).y, x + layers[0](x).y + layers[1](x + layers[0](x).y).y))
    True
    """

    def __init__(self, layers: Iterable[BMojoLayer], *, normalize: bool = False) -> None:
        super().__init__()
        if not isinstance(layers, Iterable):
            raise TypeError(f"`layers` must be BMojoLayers; got {type(layers).__name__}.")
        if not isinstance(normalize, bool):
            raise TypeError(f"`normalize` must be True or False; got {normalize!r}.")
        each = [as_instance(f"layers[{i}]", one, (BMojoLayer,)) for i, one in enumerate(layers)]
        self.layers = nn.ModuleList(each)
        if not len(self.layers):
            raise ValueError("`layers` must hold at least one BMojoLayer; got none.")
        width = self.each()[0].n_inputs
        for i, layer in enumerate(self.each()):
            found = (layer.n_inputs, layer.n_outputs, layer.target)
            if found != (width, width, "input"):
                raise ValueError(
                    f"`layers[{i}]` must have {counted(width, 'input')}, "
                    f"{counted(width, 'output')} and target='input' to sit on the residual stream; "
                    f"got {found[0]}, {found[1]} and {found[2]!r}."
                )
        S = self.each()[0].S_chol
        self.norms = nn.ModuleList(
            nn.RMSNorm(width, eps=1e-6, dtype=S.dtype, device=S.device)
            if normalize
            else nn.Identity()
            for _ in self.layers
        )

    def each(self) -> list[BMojoLayer]:
        """Return the layers, first to last.

        Returns
        -------
        list of BMojoLayer
            The modules themselves.
        """
        return [layer for layer in self.layers if isinstance(layer, BMojoLayer)]

    def initial_state(self, batch: int = 1) -> tuple[BMojoState, ...]:
        """Return the state before the first token.

        Parameters
        ----------
        batch : int, default 1
            Number of sequences.

        Returns
        -------
        tuple of BMojoState
            One for each layer.
        """
        return tuple(layer.initial_state(batch) for layer in self.each())

    def forward(self, x: torch.Tensor, state: tuple[BMojoState, ...] | None = None) -> StackOutput:
        """Run over sequences in parallel.

        Parameters
        ----------
        x : (B, L, d) torch.Tensor
            Tokens.
        state : tuple of BMojoState, optional
            Where to start. Default: the initial state.

        Returns
        -------
        StackOutput
            The residual stream, states, innovations and the outcome of each layer's test.
        """
        x = self._entering(x, 3)
        state = self.initial_state(x.shape[0]) if state is None else state
        return self._through(x, state, [layer.forward for layer in self.each()])

    def step(self, x: torch.Tensor, state: tuple[BMojoState, ...]) -> StackOutput:
        """Run over one token.

        Parameters
        ----------
        x : (B, d) torch.Tensor
            The token.
        state : tuple of BMojoState
            State before it.

        Returns
        -------
        StackOutput
            As from ``forward``, without the time axis.
        """
        x = self._entering(x, 2)
        return self._through(x, state, [layer.step for layer in self.each()])

    @torch.no_grad()
    def whiteness(self, x: torch.Tensor, *, lags: int = 20) -> tuple[Whiteness, ...]:
        r"""Test whether the innovations of each layer are white.

        .. math:: Q = \sum_{k=1}^{h} \frac{N^2}{N_k} \operatorname{tr}(\hat\Gamma_k^\top
            \hat\Gamma_0^{-1} \hat\Gamma_k \hat\Gamma_0^{-1})

        is the multivariate portmanteau statistic; for one channel and one sequence it is that of
        Ljung and Box. :math:`N_k` counts the pairs that are k apart, and B sequences count as one
        sample.

        Parameters
        ----------
        x : (B, L, d) torch.Tensor
            Tokens.
        lags : int, default 20
            Number h of lags.

        Returns
        -------
        tuple of Whiteness
            One for each layer.

        Raises
        ------
        ValueError
            If ``lags`` is not between 1 and L - 1, or the innovations of a layer have a singular
            covariance.
        """
        x = self._entering(x, 3)
        if as_integer("lags", lags, minimum=1) >= x.shape[1]:
            raise ValueError(
                f"`lags` must be less than the {counted(x.shape[1], 'token')} of a sequence; got "
                f"{lags}."
            )
        return tuple(_portmanteau(e.double(), lags) for e in self(x).innovations)

    def _entering(self, x: torch.Tensor, ndim: int) -> torch.Tensor:
        """Return tokens that fit the residual stream, in its precision."""
        first = self.each()[0]
        check_signal("x", x, first.n_inputs, first.S_chol, ndim=ndim)
        return x.to(first.S_chol.dtype)

    def _through(
        self, r: torch.Tensor, state: tuple[BMojoState, ...], runs: list[Any]
    ) -> StackOutput:
        """Return the outputs of running all layers on the residual stream."""
        if not isinstance(state, tuple) or len(state) != len(runs) or hasattr(state, "_fields"):
            raise TypeError(
                f"`state` must be a tuple of {len(runs)}, one BMojoState for each layer; got "
                f"{type(state).__name__}. Take initial_state(batch)."
            )
        states, innovations, selected = [], [], []
        for run, norm, before in zip(runs, self.norms, state, strict=True):
            out = run(norm(r), before)
            r = r + out.y
            states.append(out.state)
            innovations.append(out.innovation)
            selected.append(out.selected)
        return StackOutput(r, tuple(states), tuple(innovations), tuple(selected))


def _portmanteau(e: torch.Tensor, lags: int) -> Whiteness:
    """Return the test of innovations (B, L, d), about their mean."""
    batch, length, d = e.shape
    count = batch * length
    e = e - e.mean((0, 1))
    root, failed = torch.linalg.cholesky_ex(torch.einsum("bti,btj->ij", e, e) / count)
    if failed:
        raise ValueError(
            "`x` must leave each layer innovations that vary in every channel; those of a layer "
            f"have a singular covariance ({counted(count, 'sample')} of {counted(d, 'channel')}). "
            "Pass more samples, or fewer channels."
        )
    white = torch.linalg.solve_triangular(root, e.mT, upper=False).mT
    q = 0.0
    for k in range(1, lags + 1):
        correlation = torch.einsum("bti,btj->ij", white[:, k:], white[:, :-k]) / count
        q += count**2 / (batch * (length - k)) * float(correlation.square().sum())
    # Ljung and Box take N (N + 2) for N^2, which matters for short sequences.
    q *= (count + 2) / count
    degrees = d * d * lags
    return Whiteness(q, degrees, float(scipy.special.chdtrc(degrees, q)))
