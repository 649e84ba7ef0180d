"""Figures of models: step and impulse response, Bode diagram, poles and zeros, spectrum.

Every function takes one model or a sequence of models, draws on `ax` (default: a new figure) and
returns the Axes. matplotlib is imported when a figure is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import scipy
from numpy.typing import ArrayLike

from ._figures import (
    GUIDE,
    axes_or_new,
    channel_pairs,
    chosen_channels,
    default_duration,
    degree_ticks,
    finish,
    frame_plane,
    frequency_grid,
    look,
    mark_nyquist,
    named_models,
    split_below,
)
from ._signals import require_real
from ._transfer import impulse_coefficients
from ._validation import as_real
from .markov import spectral_density
from .models import (
    AnyLinear,
    CovarianceModel,
    GaussianSSM,
    InnovationSSM,
    LinearSSM,
    StateSpaceRecord,
)
from .response import frequency_response, poles, transmission_zeros
from .sampling import discretize

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_bode", "plot_impulse", "plot_poles", "plot_spectrum", "plot_step"]

_CURVE_POINTS = 400  # of a response in continuous time
_MOST_SAMPLES = 1e6  # that a figure draws in seconds

_WITH_INPUTS = (LinearSSM, GaussianSSM, InnovationSSM)
_STOCHASTIC = (GaussianSSM, InnovationSSM, CovarianceModel, LinearSSM)


def plot_step(
    models: AnyLinear | Sequence[AnyLinear],
    *,
    labels: Sequence[str] | None = None,
    output: int | None = None,
    input: int | None = None,
    duration: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Plot the response of the outputs to a unit step of each input.

    Parameters
    ----------
    models : LinearSSM, GaussianSSM or InnovationSSM, or a sequence of them
        Models with inputs, in discrete time (drawn as steps) or continuous time (as curves).
    labels : sequence of str, optional
        One name per model for the legend.
    output : int, optional
        Number of the output shown, from 0; default all.
    input : int, optional
        Number of the input stepped, from 0; default all.
    duration : float, optional
        Time shown, in units of `dt`; default about five time constants of the slowest stable pole.
    ax : Axes, optional
        Where to draw; default a new figure.

    Returns
    -------
    Axes
        The Axes drawn on.

    Raises
    ------
    TypeError
        If a model is another kind of object.
    ValueError
        If a model has no inputs, `output` or `input` does not exist, `duration` is not positive,
        or `labels` are not one per model.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> import realization
    >>> model = realization.LinearSSM([[0.9]], [[0.1]], [[1.0]], dt=0.1)
    >>> ax = realization.plot_step(model)
    >>> bool(abs(ax.lines[-1].get_ydata()[-1] - 1.0) < 0.01)
    True
    """
    ax = _plot_response(models, labels, output, input, duration, ax, _step_response)
    ax.set_ylabel("step response (output per unit input)")
    return ax


def plot_impulse(
    models: AnyLinear | Sequence[AnyLinear],
    *,
    labels: Sequence[str] | None = None,
    output: int | None = None,
    input: int | None = None,
    duration: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    r"""Plot the impulse response.

    Discrete time: the Markov parameters, the response to a unit pulse of one sample. Continuous
    time: :math:`C e^{At} B`, without the impulse `D` at time 0.

    Parameters
    ----------
    models : LinearSSM, GaussianSSM or InnovationSSM, or a sequence of them
        Models with inputs.
    labels : sequence of str, optional
        One name per model for the legend.
    output : int, optional
        Number of the output shown, from 0; default all.
    input : int, optional
        Number of the input, from 0; default all.
    duration : float, optional
        Time shown, in units of `dt`; default about five time constants of the slowest stable pole.
    ax : Axes, optional
        Where to draw; default a new figure.

    Returns
    -------
    Axes
        The Axes drawn on.

    Raises
    ------
    TypeError
        If a model is another kind of object.
    ValueError
        If a model has no inputs, `output` or `input` does not exist, `duration` is not positive,
        or `labels` are not one per model.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> import realization
    >>> model = realization.LinearSSM([[0.5]], [[1.0]], [[1.0]])
    >>> ax = realization.plot_impulse(model)
    >>> bool(ax.lines[-1].get_ydata()[3] == 0.25)
    True
    """
    ax = _plot_response(models, labels, output, input, duration, ax, _impulse_response)
    ax.set_ylabel("impulse response")
    return ax


def plot_bode(
    models: AnyLinear | Sequence[AnyLinear],
    *,
    labels: Sequence[str] | None = None,
    output: int | None = None,
    input: int | None = None,
    omega: ArrayLike | None = None,
    phase: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Plot magnitude and phase of the frequency response from inputs to outputs.

    Parameters
    ----------
    models : LinearSSM, GaussianSSM or InnovationSSM, or a sequence of them
        Models with inputs.
    labels : sequence of str, optional
        One name per model for the legend.
    output : int, optional
        Number of the output shown, from 0; default all.
    input : int, optional
        Number of the input, from 0; default all.
    omega : (k,) array_like, optional
        Angular frequencies in radians per unit of `dt`, positive and increasing; default from a
        decade below the slowest pole to the Nyquist frequency (marked), or a decade above the
        fastest pole in continuous time.
    phase : bool, default True
        Whether to split `ax` and draw the phase below the magnitude.
    ax : Axes, optional
        Where to draw; default a new figure.

    Returns
    -------
    Axes
        The Axes of the magnitude. Those of the phase are the last in ``ax.figure.axes``.

    Raises
    ------
    TypeError
        If a model is another kind of object.
    ValueError
        If a model has no inputs, `output` or `input` does not exist, or `labels` are not one per
        model.

    Notes
    -----
    Magnitudes are in decibels, 20 log10; phases are unwrapped, in degrees.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> import realization
    >>> model = realization.LinearSSM([[-1.0]], [[1.0]], [[1.0]], dt=0.0)
    >>> ax = realization.plot_bode(model, omega=[0.01, 1.0, 100.0])
    >>> bool(abs(ax.lines[0].get_ydata()[1] + 3.0103) < 1e-4)
    True
    """
    named = named_models(models, labels, _WITH_INPUTS)
    frequencies = frequency_grid([model for model, _ in named], omega)
    ax = axes_or_new(ax, (6.4, 5.6 if phase else 4.0))
    below = split_below(ax) if phase else None
    for number, (model, name) in enumerate(named):
        response = frequency_response(model, frequencies)
        pairs = channel_pairs(model, output, input)
        for style, (i, j, pair) in enumerate(pairs):
            drawn = look(number, style, len(named), name, pair if len(pairs) > 1 else "")
            with np.errstate(divide="ignore"):
                ax.semilogx(frequencies, 20 * np.log10(np.abs(response[:, i, j])), **drawn)
            if below is not None:
                angle = np.degrees(np.unwrap(np.angle(response[:, i, j])))
                shown = np.where(response[:, i, j] == 0, np.nan, angle)
                below.semilogx(frequencies, shown, **drawn)
    mark_nyquist([model for model, _ in named], frequencies, ax, below)
    finish(ax, "" if below else "frequency (rad per unit of time)", "magnitude (dB)")
    if below is not None:
        finish(below, "frequency (rad per unit of time)", "phase (degrees)", legend=False)
        degree_ticks(below)
        ax.tick_params(labelbottom=False)
    ax.set_xlim(frequencies[0], frequencies[-1])
    return ax


def plot_poles(
    models: StateSpaceRecord | Sequence[StateSpaceRecord],
    *,
    labels: Sequence[str] | None = None,
    zeros: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Plot poles (crosses) and transmission zeros (circles) with the stability boundary.

    Parameters
    ----------
    models : record, or a sequence of them
        Models all in discrete time, or all in continuous time.
    labels : sequence of str, optional
        One name per model for the legend.
    zeros : bool, default True
        Whether to draw the zeros from inputs to outputs of the models that have inputs.
    ax : Axes, optional
        Where to draw; default a new figure.

    Returns
    -------
    Axes
        The Axes drawn on. Zeros far outside the picture are counted in the title.

    Raises
    ------
    TypeError
        If a model is another kind of object.
    ValueError
        If models in discrete and in continuous time are mixed, or `labels` are not one per model.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> import realization
    >>> model = realization.LinearSSM([[0.9, 0.2], [-0.2, 0.9]], [[0.0], [1.0]], [[1.0, 0.0]])
    >>> ax = realization.plot_poles(model)
    >>> ax.get_xlabel()
    'real part'
    """
    named = named_models(models, labels, (StateSpaceRecord,))
    continuous = {model.dt == 0.0 for model, _ in named}
    if len(continuous) > 1:
        raise ValueError(
            "`models` must be all in discrete time or all in continuous time to share a plane; "
            "got both. Use discretize or continuize."
        )
    ax = axes_or_new(ax, (5.2, 5.0))
    every_pole, every_zero = [np.zeros(0)], [np.zeros(0)]
    for number, (model, name) in enumerate(named):
        size = 8 + 4 * min(len(named) - 1 - number, 3)  # an earlier model shows behind a later one
        marks = {"color": f"C{number % 10}", "ls": "none", "ms": size}
        values = poles(model)
        every_pole.append(values)
        label = name or "poles"
        ax.plot(np.real(values), np.imag(values), marker="x", mew=1.8, label=label, **marks)
        if not zeros or not isinstance(model, _WITH_INPUTS) or model.n_inputs == 0:
            continue
        values = transmission_zeros(model)
        every_zero.append(values)
        if values.size:
            marks |= {"marker": "o", "mfc": "none", "label": f"{name}, zeros" if name else "zeros"}
            ax.plot(np.real(values), np.imag(values), **marks)
    frame_plane(ax, np.concatenate(every_pole), np.concatenate(every_zero), *continuous)
    unit = " (rad per unit of time)" if True in continuous else ""
    finish(ax, f"real part{unit}", f"imaginary part{unit}", legend=False)
    if len(ax.get_legend_handles_labels()[1]) > 1 or named[0][1]:
        ax.legend()  # in a frame: its marks are no poles
    return ax


def plot_spectrum(
    models: AnyLinear | CovarianceModel | Sequence[AnyLinear | CovarianceModel],
    *,
    labels: Sequence[str] | None = None,
    output: int | None = None,
    omega: ArrayLike | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Plot the spectral density of each output's noise.

    Parameters
    ----------
    models : GaussianSSM, InnovationSSM, CovarianceModel or LinearSSM, or a sequence of them
        Stable models. A LinearSSM is driven by white noise of unit covariance.
    labels : sequence of str, optional
        One name per model for the legend.
    output : int, optional
        Number of the output shown, from 0; default all.
    omega : (k,) array_like, optional
        Angular frequencies in radians per unit of `dt`, positive and increasing; default as for
        :func:`plot_bode`.
    ax : Axes, optional
        Where to draw; default a new figure.

    Returns
    -------
    Axes
        The Axes drawn on.

    Raises
    ------
    TypeError
        If a model is another kind of object.
    ValueError
        If `output` does not exist, or `labels` are not one per model.
    UnstableModelError
        If a model is not stable.

    Notes
    -----
    In decibels, 10 log10 of the density that :func:`spectral_density` returns: per sample in
    discrete time, per radian per unit of time over 2 pi in continuous time.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> import realization
    >>> model = realization.InnovationSSM([[0.9]], [[1.0]], [[0.5]], [[1.0]])
    >>> ax = realization.plot_spectrum(model)
    >>> ax.get_ylabel()
    'spectral density (dB)'
    """
    named = named_models(models, labels, _STOCHASTIC)
    frequencies = frequency_grid([model for model, _ in named], omega)
    ax = axes_or_new(ax, (6.4, 4.0))
    for number, (model, name) in enumerate(named):
        outputs = chosen_channels("output", output, model.n_outputs)
        density = spectral_density(model, frequencies)
        for style, i in enumerate(outputs):
            channel = f"y{i + 1}" if len(outputs) > 1 else ""
            with np.errstate(divide="ignore", invalid="ignore"):
                level = 10 * np.log10(np.real(density[:, i, i]))
            ax.semilogx(frequencies, level, **look(number, style, len(named), name, channel))
    mark_nyquist([model for model, _ in named], frequencies, ax)
    finish(ax, "frequency (rad per unit of time)", "spectral density (dB)")
    ax.set_xlim(frequencies[0], frequencies[-1])
    return ax


def _plot_response(
    models: AnyLinear | Sequence[AnyLinear],
    labels: Sequence[str] | None,
    output: int | None,
    input: int | None,
    duration: float | None,
    ax: Axes | None,
    response: Callable[[AnyLinear, float], tuple[np.ndarray, np.ndarray]],
) -> Axes:
    """Draw a response over time of every model and every pair of channels."""
    named = named_models(models, labels, _WITH_INPUTS)
    span = (
        max(default_duration(model) for model, _ in named)
        if duration is None
        else as_real("duration", duration, above=0.0)
    )
    ax = axes_or_new(ax, (6.4, 4.0))
    ax.axhline(0.0, color=GUIDE, lw=0.8)
    for number, (model, name) in enumerate(named):
        pairs = channel_pairs(model, output, input)
        require_real(model, "a response over time")
        time, values = response(model, span)
        for style, (i, j, pair) in enumerate(pairs):
            drawn = look(number, style, len(named), name, pair if len(pairs) > 1 else "")
            if model.dt == 0.0:
                ax.plot(time, values[:, i, j], **drawn)
            else:
                few = {"marker": "o", "markersize": 3} if time.size <= 60 else {}
                ax.step(time, values[:, i, j], where="post", **drawn, **few)
    finish(ax, "time", "")
    ax.set_xlim(0.0, span)
    return ax


def _step_response(model: AnyLinear, span: float) -> tuple[np.ndarray, np.ndarray]:
    """Return times (k,) and the step responses (k, p, m): sums of the Markov parameters."""
    if model.dt == 0.0:
        plain = LinearSSM(model.A, model.B, model.C, model.D, dt=0.0)
        model = discretize(plain, span / _CURVE_POINTS)
    time = _sample_times(model, span)
    h = impulse_coefficients(model.C, model.A, model.B, time.size - 1)
    return time, model.D + np.concatenate([np.zeros((1, *model.D.shape)), h.cumsum(axis=0)])


def _impulse_response(model: AnyLinear, span: float) -> tuple[np.ndarray, np.ndarray]:
    """Return times (k,) and the impulse responses (k, p, m)."""
    if model.dt == 0.0:
        time = np.linspace(0.0, span, _CURVE_POINTS + 1)
        one_step = scipy.linalg.expm(model.A * time[1])
        return time, impulse_coefficients(model.C, one_step, model.B, time.size)
    time = _sample_times(model, span)
    h = impulse_coefficients(model.C, model.A, model.B, time.size - 1)
    return time, np.concatenate([model.D[np.newaxis], h])


def _sample_times(model: AnyLinear, span: float) -> np.ndarray:
    """Return the sample times from 0 to `span`."""
    count = span / model.dt + 1.5
    if not count < _MOST_SAMPLES:
        raise ValueError(
            f"`duration` = {span:g} must be at most {_MOST_SAMPLES:.0e} samples of dt = "
            f"{model.dt:g}, more than a figure shows. Take a shorter one."
        )
    return model.dt * np.arange(int(count))
