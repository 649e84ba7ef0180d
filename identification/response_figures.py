"""Figures of identified models, with bands: poles, Bode plots and impulse responses.

Figures of several panels take ``fig=`` (a Figure or SubFigure to fill) and return an array of Axes;
the others take ``ax=``. matplotlib is imported when a figure is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

import realization
from realization.internal import as_real

from .data import numbered
from .plotting import new_figure
from .result import IdentificationResult
from .uncertainty import (
    FrequencyResponseUncertainty,
    frequency_response_uncertainty,
    impulse_response_uncertainty,
    pole_uncertainty,
)
from .validation import Model, named_models

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_bode", "plot_impulse", "plot_poles"]

BAND: dict[str, Any] = {"alpha": 0.25, "lw": 0, "zorder": 1}


def plot_poles(
    results: Model | Sequence[Model] | Mapping[str, Model],
    *,
    zeros: bool = False,
    confidence: float | None = 0.95,
    ax: Axes | None = None,
) -> Axes:
    """Plot the poles of identified models, and of others beside them, in one plane.

    Around the poles of results with a covariance (those of ``pem``) are the regions that hold each
    with the probability `confidence`; that of a doubtful pole (``pole_uncertainty``) is dashed.

    Parameters
    ----------
    results : result or model, sequence of them, or mapping of names to them
        Identification results and plain models.
    zeros : bool, default False
        Also draw the transmission zeros from inputs to outputs.
    confidence : float or None, default 0.95
        Probability of the regions; None draws none.
    ax : Axes, optional
        Where to draw; default a new figure.

    Returns
    -------
    Axes
        The Axes drawn on.

    Raises
    ------
    TypeError
        If something that is not a model is given.
    ValueError
        If no model is given, or `confidence` is not between 0 and 1.

    See Also
    --------
    realization.plot_poles : The same for models alone.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> import numpy as np
    >>> from identification import plot_poles, subspace_id
    >>> y = np.random.default_rng(0).standard_normal(200)
    >>> ax = plot_poles({"noise": subspace_id(y, order=1)})
    >>> ax.get_xlabel()
    'real part'
    """
    named = named_models(results)
    models = [_plain(model) for model in named.values()]
    ax = realization.plot_poles(models, labels=list(named), zeros=zeros, ax=ax)
    with_bands = _with_bands(named, confidence)
    for number, result in with_bands.items():
        found, color = pole_uncertainty(result), f"C{number % 10}"
        assert confidence is not None
        for border, doubtful in zip(found.ellipses(confidence), found.doubtful, strict=True):
            if np.isfinite(border).all():
                style: dict[str, Any] = {"fill": False, "ls": "--"} if doubtful else {"alpha": 0.3}
                ax.fill(border.real, border.imag, color=color, zorder=1, **style)
    _say_confidence(ax, with_bands, confidence)
    return ax


def plot_bode(
    results: Model | Sequence[Model] | Mapping[str, Model],
    *,
    omega: ArrayLike | None = None,
    phase: bool = True,
    confidence: float | None = 0.95,
    fig: Any = None,
) -> np.ndarray:
    """Plot the frequency responses of identified models, one panel per output and input.

    Results with a covariance (those of ``pem``) have the band that holds the response with the
    probability `confidence` at each frequency.

    Parameters
    ----------
    results : result or model, sequence of them, or mapping of names to them
        Identification results and plain models, of the same channels.
    omega : (k,) array_like, optional
        Angular frequencies in radians per unit of `dt`, positive and increasing; default as in
        ``realization.plot_bode``.
    phase : bool, default True
        Whether to draw the phase below each magnitude.
    confidence : float or None, default 0.95
        Probability of the bands; None draws none.
    fig : Figure or SubFigure, optional
        Where to draw; default a new figure.

    Returns
    -------
    (p, m) ndarray of Axes
        Those of the magnitudes.

    Raises
    ------
    TypeError
        If something that is not a model is given.
    ValueError
        If the models have no inputs, or not the same numbers of channels.

    See Also
    --------
    realization.plot_bode : The same for models alone, all channels in one panel.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from identification import plot_bode
    >>> from realization import LinearSSM
    >>> axes = plot_bode({"plant": LinearSSM([[0.9]], [[0.1]], [[1.0]], dt=0.1)})
    >>> axes.shape
    (1, 1)
    """
    named = named_models(results)
    fig, axes = _response_panels(named, fig, 4.0 if phase else 2.4)
    models = [_plain(model) for model in named.values()]
    with_bands = _with_bands(named, confidence)
    bands: dict[int, FrequencyResponseUncertainty] = {}
    for (i, j), ax in np.ndenumerate(axes):
        realization.plot_bode(
            models, labels=list(named), output=i, input=j, omega=omega, phase=phase, ax=ax
        )
        below = fig.axes[-1] if phase else None
        for number, result in with_bands.items():
            if number not in bands:
                grid = ax.lines[number].get_xdata()
                bands[number] = frequency_response_uncertainty(result, grid)
            _draw_bode_band(ax, below, number, bands[number], confidence, (i, j))
        if i < axes.shape[0] - 1:
            (below or ax).set_xlabel("")
        if (i, j) != (0, 0):
            ax.get_legend().remove()
    _say_confidence(axes[0, 0], with_bands, confidence)
    return axes


def plot_impulse(
    results: Model | Sequence[Model] | Mapping[str, Model],
    *,
    duration: float | None = None,
    confidence: float | None = 0.95,
    fig: Any = None,
) -> np.ndarray:
    """Plot the impulse responses of identified models, one panel per output and input.

    Results with a covariance (those of ``pem``) have the band that holds the response with the
    probability `confidence` at each lag.

    Parameters
    ----------
    results : result or model, sequence of them, or mapping of names to them
        Identification results and plain models, of the same channels.
    duration : float, optional
        Time shown, in units of `dt`; default about five time constants of the slowest stable pole.
    confidence : float or None, default 0.95
        Probability of the bands; None draws none.
    fig : Figure or SubFigure, optional
        Where to draw; default a new figure.

    Returns
    -------
    (p, m) ndarray of Axes
        One panel per output and input.

    Raises
    ------
    TypeError
        If something that is not a model is given.
    ValueError
        If the models have no inputs, or not the same numbers of channels, or `confidence` is not
        between 0 and 1.

    See Also
    --------
    realization.plot_impulse : The same for models alone, all channels in one panel.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from identification import plot_impulse
    >>> from realization import LinearSSM
    >>> axes = plot_impulse({"plant": LinearSSM([[0.9]], [[0.1]], [[1.0]], dt=0.1)})
    >>> axes.shape
    (1, 1)
    """
    named = named_models(results)
    fig, axes = _response_panels(named, fig, 2.4)
    models = [_plain(model) for model in named.values()]
    with_bands = _with_bands(named, confidence)
    for (i, j), ax in np.ndenumerate(axes):
        realization.plot_impulse(
            models, labels=list(named), output=i, input=j, duration=duration, ax=ax
        )
        for number, result in with_bands.items():
            time = ax.lines[number + 1].get_xdata()  # the first line is the axis
            found = impulse_response_uncertainty(result, len(time))
            assert confidence is not None
            low, high = (limit[:, i, j] for limit in found.band(confidence))
            ax.fill_between(time, low, high, step="post", color=f"C{number % 10}", **BAND)
        if i < axes.shape[0] - 1:
            ax.set_xlabel("")
        if (i, j) != (0, 0):
            ax.set_ylabel("")
            ax.get_legend().remove()
    _say_confidence(axes[0, 0], with_bands, confidence)
    return axes


def _response_panels(named: Mapping[str, Model], fig: Any, height: float) -> tuple[Any, np.ndarray]:
    """Return a figure and one titled panel per output and input that all models share."""
    channels = {(model.n_outputs, model.n_inputs) for model in named.values()}
    if len(channels) > 1:
        raise ValueError(
            f"`results` must have the same (outputs, inputs) to share panels; got {channels}."
        )
    p, m = channels.pop()
    if m == 0:
        raise ValueError(
            "`results` have no inputs to respond to: realization.plot_spectrum shows "
            "what a model without inputs does at each frequency."
        )
    fig = new_figure(fig, (max(1.2 + 4.2 * m, 6.4), 0.8 + height * p))
    axes = fig.subplots(p, m, squeeze=False)
    outputs, inputs = _channel_names(named)
    for (i, j), ax in np.ndenumerate(axes):
        ax.set_title(f"{inputs[j]} → {outputs[i]}", fontsize="medium")
    return fig, axes


def _with_bands(
    named: Mapping[str, Model], confidence: float | None
) -> dict[int, IdentificationResult]:
    """Return the results that have a covariance, by their number; none if no band is wanted."""
    if confidence is None:
        return {}
    as_real("confidence", confidence, above=0.0, below=1.0)
    return {
        number: model
        for number, model in enumerate(named.values())
        if isinstance(model, IdentificationResult) and model.covariance is not None
    }


def _draw_bode_band(
    ax: Axes,
    below: Axes | None,
    number: int,
    found: FrequencyResponseUncertainty,
    confidence: float | None,
    pair: tuple[int, ...],
) -> None:
    """Fill the bands of magnitude (dB) and phase (degrees) around the curves of a model."""
    assert confidence is not None
    i, j = pair
    color, limits = f"C{number % 10}", ax.get_ylim()
    low, high = (limit[:, i, j] for limit in found.magnitude_band(confidence))
    with np.errstate(divide="ignore"):
        decibels = 20 * np.log10(low), 20 * np.log10(high)
    floor = limits[0] - 100.0  # a band that reaches down to zero
    ax.fill_between(found.omega, np.maximum(decibels[0], floor), decibels[1], color=color, **BAND)
    reach = decibels[0].min(), decibels[1].max()  # shown up to 10 dB beyond the curves
    ax.set_ylim(
        min(limits[0], max(reach[0], limits[0] - 10.0)),
        max(limits[1], min(reach[1], limits[1] + 10.0)),
    )
    if below is None:
        return
    phase, limits = np.asarray(below.lines[number].get_ydata()), below.get_ylim()
    low, high = (limit[:, i, j] for limit in found.phase_band(confidence))
    reach = np.degrees(high - low) / 2
    below.fill_between(found.omega, phase - reach, phase + reach, color=color, **BAND)
    below.set_ylim(limits)


def _say_confidence(ax: Axes, with_bands: Mapping[int, Any], confidence: float | None) -> None:
    """Give the legend a title that names the probability of the bands."""
    legend = ax.get_legend()
    if with_bands and legend is not None and confidence is not None:
        legend.set_title(f"bands: {100 * confidence:g} %")
        legend.get_title().set_fontsize("small")


def _plain(model: Model) -> Any:
    """Return the model that a result holds."""
    return model.model if isinstance(model, IdentificationResult) else model


def _channel_names(named: Mapping[str, Model]) -> tuple[Sequence[str], Sequence[str]]:
    """Return the names of outputs and inputs that a result brings, numbers from 1 otherwise."""
    for model in named.values():
        if isinstance(model, IdentificationResult) and model.output_names:
            return model.output_names, model.input_names
    model = next(iter(named.values()))
    return numbered("y", model.n_outputs), numbered("u", model.n_inputs)
