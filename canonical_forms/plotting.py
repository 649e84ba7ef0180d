"""A picture of a form: which states act on which, how long each remembers.

matplotlib is imported when a figure is drawn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from realization.internal import as_instance, counted

from .result import CanonicalForm, input_matrix

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_structure"]

EIDETIC, FADING, GREY = "C1", "C0", "0.35"


def plot_structure(form: CanonicalForm, *, ax: Axes | None = None) -> Axes:
    r"""Draw the block pattern of a form, with the memory of every block.

    The squares are the entries of A (and, apart, B to the right and C below), darker for larger
    modulus on a logarithmic scale over six decades; exact zeros stay white. Frames mark the
    diagonal blocks: orange for the eidetic part, blue for the others. At the right every block says
    how long it remembers: *exact, k steps* for a shift register, else the time constant of its
    slowest mode (in the unit of `dt`) and, for a complex pair, the period.

    Parameters
    ----------
    form : CanonicalForm
        Any form.
    ax : Axes, optional
        Where to draw; default a new figure.

    Returns
    -------
    Axes
        The axes drawn on.

    Raises
    ------
    TypeError
        If `form` is no CanonicalForm.

    See Also
    --------
    CanonicalForm.summary : The same in words.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> import numpy as np
    >>> from canonical_forms import eidetic_fading_form, plot_structure
    >>> from realization import LinearSSM
    >>> model = LinearSSM(np.eye(4, k=-1), np.eye(4)[:, :1], np.ones((1, 4)))
    >>> ax = plot_structure(eidetic_fading_form(model))
    >>> "exact, 4 steps" in [text.get_text() for text in ax.texts]
    True
    """
    as_instance("form", form, (CanonicalForm,))
    from matplotlib.patches import Rectangle

    model, info = form.model, form.info
    n, m, p = model.n_states, input_matrix(model).shape[1], model.n_outputs
    if ax is None:
        import matplotlib.pyplot as plt

        side = float(np.clip(0.32 * (n + m + p) + 1.2, 3.2, 7.0))
        ax = plt.subplots(figsize=(side + 2.2, side), layout="constrained")[1]
    gap = 0.4 if n else 0.0
    scale = _darkness(model.A, input_matrix(model), model.C)
    for matrix, left, top in (
        (model.A, 0.0, 0.0),
        (input_matrix(model), n + gap, 0.0),
        (model.C, 0.0, n + gap),
    ):
        _draw_entries(ax, matrix, left, top, scale)
    start = 0
    for number, size in enumerate(info.get("sizes", ())):
        eidetic = number < info.get("eidetic_blocks", 0)
        colour = EIDETIC if eidetic else FADING
        if size:
            box = Rectangle((start, start), size, size, fill=False, edgecolor=colour, lw=1.8)
            ax.add_patch(box)
        start += size
    for middle, text, colour in _memories(form):
        ax.text(n + m + 2 * gap + 0.2, middle, text, va="center", fontsize="small", color=colour)
    inputs = "B" if hasattr(model, "B") else "N"
    titles = [("C", -0.3, n + gap + p / 2)] + [("A", n / 2, -0.3)] * (n > 0)
    titles += [(inputs, n + gap + m / 2, -0.3)] * (m > 0)
    for name, x, y in titles:
        ax.text(x, y, name, ha="center", va="center", color=GREY)
    ax.set(xlim=(-0.7, n + m + 2 * gap + 0.1), ylim=(n + p + gap + 0.2, -0.7), aspect="equal")
    ax.axis("off")
    ax.set_title(f"{info['form']}, cond {info['cond']:.2g}", fontsize="medium")
    return ax


def _darkness(*matrices: np.ndarray) -> float:
    """Return the largest modulus over all matrices, as the scale of the grey values."""
    return max(float(np.abs(M).max(initial=0.0)) for M in matrices) or 1.0


def _draw_entries(ax: Axes, matrix: np.ndarray, left: float, top: float, scale: float) -> None:
    """Draw one matrix as squares, white for zeros."""
    rows, columns = matrix.shape
    if not matrix.size:
        return
    with np.errstate(divide="ignore"):
        level = 1 + np.log10(np.abs(matrix) / scale) / 6
    shade = np.where(matrix == 0, np.nan, np.clip(level, 0.08, 1.0))
    ax.pcolormesh(
        left + np.arange(columns + 1), top + np.arange(rows + 1), shade, cmap="Greys", vmin=0.0,
        vmax=1.3, edgecolor="0.93", linewidth=0.4,
    )  # fmt: skip


def _memories(form: CanonicalForm) -> list[tuple[float, str, str]]:
    """Return (height, text, colour) for each block; one for the whole if there are no blocks."""
    info, model = form.info, form.model
    sizes = [size for size in info.get("sizes", (model.n_states,)) if size]
    deep = info.get("eidetic_blocks", 0)
    texts, start = [], 0
    if deep and info["eidetic"] != "jordan":
        length = info["eidetic_order"]
        texts.append((length / 2, _steps(info["index"]), EIDETIC))
        start, sizes, deep = length, sizes[deep:], 0
    for number, size in enumerate(sizes):
        middle = start + size / 2
        if number < deep:
            texts.append((middle, _steps(size), EIDETIC))
        else:
            block = model.A[start : start + size, start : start + size]
            texts.append((middle, _fades(block, model.dt), FADING))
        start += size
    return texts


def _steps(count: int) -> str:
    """Return how long a shift register remembers."""
    return f"exact, {counted(count, 'step')}"


def _fades(block: np.ndarray, dt: float) -> str:
    """Return the time constant of the slowest mode of a block, and its period."""
    values = np.linalg.eigvals(block)
    if dt > 0:
        if not np.abs(values).max() > 0:
            return "0"
        with np.errstate(divide="ignore"):
            values = np.log(values.astype(complex)) / dt
    slowest = values[np.argmax(values.real)]
    if abs(slowest.real) <= 1e-12 * max(abs(slowest), 1.0):
        text = "never fades"
    elif slowest.real > 0:
        text = f"grows, τ = {1 / slowest.real:.3g}"
    else:
        text = f"τ = {-1 / slowest.real:.3g}"
    frequency = abs(slowest.imag)
    if frequency > 1e-9 * abs(slowest) and not (dt > 0 and frequency * dt > np.pi * (1 - 1e-9)):
        text += f", period {2 * np.pi / frequency:.3g}"
    return text
