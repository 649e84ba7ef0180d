"""The parts that figures share: default ranges, names, looks, axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ._validation import as_array, as_instance, as_integer
from ._words import counted
from .models import AnyLinear, StateSpaceRecord
from .response import poles

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GUIDE = "0.6"  # grey of zero lines, unit circle and Nyquist frequency
_STYLES = ("-", "--", "-.", ":")
_LONGEST = 2000  # samples shown by default


def exponents(model: StateSpaceRecord) -> np.ndarray:
    """Return the poles in continuous time, log(pole)/dt; poles at 0 are left out."""
    values = poles(model)
    return values if model.dt == 0.0 else np.log(values[values != 0]) / model.dt


def default_duration(model: AnyLinear) -> float:
    """Return five time constants of the slowest stable pole, within reason."""
    s = exponents(model)
    scale = np.abs(s).max(initial=0.0)
    growth, height = np.real(s), np.abs(np.imag(s))
    steady = np.abs(growth) <= 1e-6 * scale
    spans = [5.0 / -rate for rate in growth[(growth < 0) & ~steady]]
    spans += [3.0 / rate for rate in growth[(growth > 0) & ~steady]]
    spans += [10 * np.pi / w for w in height[steady] if w > 0]
    longest = max(spans, default=10.0 if model.dt == 0.0 else 0.0)
    if model.dt == 0.0:
        return float(longest)
    samples = np.clip(np.ceil(longest / model.dt), model.n_states + 10, _LONGEST)
    return float(samples * model.dt)


def frequency_grid(models: Sequence[StateSpaceRecord], omega: ArrayLike | None) -> np.ndarray:
    """Return the frequencies given, or a grid that covers the poles and their resonances."""
    if omega is not None:
        frequencies = as_array("omega", omega)
        if frequencies.ndim != 1 or frequencies.size < 2 or not (np.diff(frequencies) > 0).all():
            raise ValueError(
                "`omega` must be a list of at least two increasing frequencies; got shape "
                f"{frequencies.shape}."
            )
        if frequencies[0] <= 0:
            raise ValueError(
                f"`omega` must be positive on a logarithmic axis; got {frequencies[0]:g}."
            )
        return frequencies
    s = np.concatenate([exponents(model) for model in models])
    s = s[np.abs(s) > 1e-9 * np.abs(s).max(initial=0.0)]
    nyquist = max((np.pi / model.dt for model in models if model.dt > 0), default=0.0)
    high = nyquist or 10 * np.abs(s).max(initial=1.0)
    low = max(0.1 * np.abs(s).min(initial=high / 10), high * 1e-5)
    low = min(low, high / 100)
    decay, height = np.real(s), np.imag(s)
    light = (height > 0) & (np.abs(decay) > 1e-9 * np.abs(s))
    near = height[light, np.newaxis] + decay[light, np.newaxis] * np.linspace(-5, 5, 41)
    grid = np.unique(np.concatenate([np.geomspace(low, high, 600), near.ravel()]))
    return grid[(grid >= low) & (grid <= high)]


def named_models(models: Any, labels: Sequence[str] | None, classes: tuple) -> list:
    """Return (model, name) pairs; one model without a label has no name."""
    listed = list(models) if isinstance(models, (list, tuple)) else [models]
    if not listed:
        raise ValueError("`models` must hold at least one model; got an empty sequence.")
    for model in listed:
        as_instance("models", model, classes)
    if labels is None:
        labels = [""] if len(listed) == 1 else [f"model {k}" for k in range(1, len(listed) + 1)]
    names = labels if isinstance(labels, (list, tuple)) else []
    if len(names) != len(listed) or not all(isinstance(name, str) for name in names):
        wanted = counted(len(listed), "name")
        raise ValueError(f"`labels` must be a list of {wanted}, one per model; got {labels!r}.")
    return list(zip(listed, names, strict=True))


def channel_pairs(
    model: AnyLinear, output: int | None, input: int | None
) -> list[tuple[int, int, str]]:
    """Return (output, input, name) for every pair asked for; names count from 1."""
    if model.n_inputs == 0:
        raise ValueError(
            f"This {type(model).__name__} has no inputs to respond to. For the response to the "
            "innovations plot LinearSSM(A, K, C, numpy.eye(p), dt=dt); for the noise use "
            "plot_spectrum."
        )
    outputs = chosen_channels("output", output, model.n_outputs)
    inputs = chosen_channels("input", input, model.n_inputs)
    return [(i, j, f"u{j + 1} → y{i + 1}") for j in inputs for i in outputs]


def chosen_channels(name: str, number: int | None, count: int) -> list[int]:
    """Return the channels asked for, all if None."""
    if number is None:
        return list(range(count))
    if as_integer(name, number) >= count:
        raise ValueError(f"`{name}` must be below {count}, the number of channels; got {number}.")
    return [number]


def look(number: int, style: int, n_models: int, name: str, channel: str) -> dict[str, Any]:
    """Return colour by model and line style by channel; of one model, colour by channel."""
    label = ", ".join(part for part in (name, channel) if part) or None
    if n_models == 1:
        return {"color": f"C{style % 10}", "lw": 1.6, "label": label}
    return {"color": f"C{number % 10}", "ls": _STYLES[style % 4], "lw": 1.6, "label": label}


def axes_or_new(ax: Axes | None, size: tuple[float, float]) -> Axes:
    """Return the Axes given, or those of a new figure."""
    if ax is not None:
        from matplotlib.axes import Axes

        return as_instance("ax", ax, (Axes,))
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=size, layout="constrained")[1]


def split_below(ax: Axes) -> Axes:
    """Give the lower half of `ax` to new Axes that share its x axis; return them."""
    from matplotlib.gridspec import GridSpecFromSubplotSpec

    spec, figure = ax.get_subplotspec(), ax.get_figure()
    assert figure is not None
    if spec is None:
        box = ax.get_position()
        ax.set_position((box.x0, box.y0 + 0.54 * box.height, box.width, 0.46 * box.height))
        lower = (box.x0, box.y0, box.width, 0.46 * box.height)
        return figure.add_axes(lower, sharex=ax)
    grid = GridSpecFromSubplotSpec(2, 1, subplot_spec=spec, hspace=0.08)
    ax.set_subplotspec(grid[0])
    return figure.add_subplot(grid[1], sharex=ax)


def finish(ax: Axes, xlabel: str, ylabel: str, *, legend: bool = True) -> None:
    """Label, grid and legend."""
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.grid(visible=True, color="0.9", lw=0.8)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    if legend and ax.get_legend_handles_labels()[1]:
        ax.legend(frameon=False)


def mark_nyquist(models: Sequence[StateSpaceRecord], omega: np.ndarray, *axes: Axes | None) -> None:
    """Draw the Nyquist frequency of every sample time that lies in the picture."""
    for limit in {np.pi / model.dt for model in models if model.dt > 0}:
        for ax in axes:
            if ax is not None and omega[0] < limit <= omega[-1]:
                ax.axvline(limit, color=GUIDE, lw=1.0, ls=":")


def degree_ticks(ax: Axes) -> None:
    """Put ticks at multiples of 45 degrees, at most seven."""
    from matplotlib.ticker import MultipleLocator

    low, high = ax.get_ylim()
    ax.yaxis.set_major_locator(MultipleLocator(45 * max(1, int(np.ceil((high - low) / 315)))))


def frame_plane(ax: Axes, poles: np.ndarray, zeros: np.ndarray, continuous: bool) -> None:
    """Draw the stability boundary and choose limits that show the poles and the near zeros."""
    if continuous:
        ax.axvline(0.0, color=GUIDE, lw=1.0)
        ax.axhline(0.0, color=GUIDE, lw=0.6)
        reach = 1.15 * max(np.abs(poles).max(initial=0.0), 1e-12)
    else:
        circle = np.exp(2j * np.pi * np.linspace(0.0, 1.0, 201))
        ax.plot(np.real(circle), np.imag(circle), color=GUIDE, lw=1.0, zorder=1)
        ax.axhline(0.0, color=GUIDE, lw=0.6, zorder=1)
        ax.axvline(0.0, color=GUIDE, lw=0.6, zorder=1)
        reach = 1.15 * max(np.abs(poles).max(initial=0.0), 1.0)
    near = zeros[np.abs(zeros) <= 2.5 * reach]
    reach = max(reach, 1.1 * np.abs(near).max(initial=0.0))
    if len(near) < len(zeros):
        hidden = counted(len(zeros) - len(near), "zero")
        ax.set_title(f"{hidden} outside the picture", fontsize="small")
    ax.set_aspect("equal")
    right = reach
    if continuous:
        right = max(0.15 * reach, 1.1 * np.real(np.concatenate([poles, near])).max(initial=0.0))
    ax.set(xlim=(-reach, right), ylim=(-reach, reach))
