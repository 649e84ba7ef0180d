"""Checks at the public door: every array is checked here once, becomes a record or a plain array.

Every message says the name, what is required, what was found, and where it helps what to do.
Kernels and inner functions trust their input.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._words import counted

Rng = int | np.random.Generator | None


def as_array(
    name: str, value: ArrayLike, *, allow_nan: bool = False, real: bool = False
) -> np.ndarray:
    """Return a new C-contiguous float64 (or complex128) array of finite numbers.

    Parameters
    ----------
    name : str
        The argument's name, for messages.
    value : array_like
        Anything numeric.
    allow_nan : bool, default False
        Accept NaN (missing samples); infinities are always refused.
    real : bool, default False
        Refuse complex numbers.

    Returns
    -------
    ndarray
        A copy: inputs are never modified and never shared.
    """
    if np.ma.is_masked(value):
        fill = f"pass `{name}.filled(np.nan)`" if allow_nan else "fill or leave out those"
        masked = counted(np.ma.count_masked(value), "masked entry", "masked entries")
        raise ValueError(
            f"`{name}` must be a plain array; got {masked}, whose mask would be lost: {fill}."
        )
    raw = as_numbers(name, value, real=real)
    array = np.array(raw, dtype=complex if raw.dtype.kind == "c" else float, order="C")
    if not np.isfinite(np.vdot(array, array)) and not np.isfinite(array).all():
        if not allow_nan and np.isnan(array).any():
            where = tuple(int(i) for i in np.argwhere(np.isnan(array))[0])
            raise ValueError(f"`{name}` must be finite; found NaN, first at index {where}.")
        if np.isinf(array).any():
            where = tuple(int(i) for i in np.argwhere(np.isinf(array))[0])
            raise ValueError(f"`{name}` must be finite; found inf, first at index {where}.")
    return array


def as_numbers(name: str, value: Any, *, real: bool = False) -> np.ndarray:
    """Return numbers as an array of their own type, neither copied nor searched."""
    try:
        raw = np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:
        raise TypeError(f"`{name}` must be a numeric array; numpy says: {error}.") from None
    if raw.dtype.kind not in ("biuf" if real else "biufc"):
        kind = "real numbers" if real else "numeric"
        raise TypeError(f"`{name}` must be {kind}; got dtype {raw.dtype}.")
    return raw


def as_matrix(
    name: str, value: ArrayLike, shape: tuple[int | None, ...], *, because: str = ""
) -> np.ndarray:
    """Return a finite array of the given shape; ``None`` in `shape` leaves that axis free.

    Parameters
    ----------
    name : str
        The argument's name, for messages.
    value : array_like
        The matrix.
    shape : tuple of int or None
        Required shape.
    because : str, optional
        Ends the message: what the shape must agree with, such as "to match `A` (4, 4)".

    Returns
    -------
    ndarray
        A checked copy.
    """
    array = as_array(name, value)
    agrees = array.ndim == len(shape) and all(
        want is None or have == want for have, want in zip(array.shape, shape, strict=True)
    )
    if not agrees:
        axes = ["any" if s is None else str(s) for s in shape]
        wanted = f"({', '.join(axes)}{',' * (len(axes) == 1)})"
        reason = f" {because}" if because else ""
        raise ValueError(f"`{name}` must have shape {wanted}{reason}; got {array.shape}.")
    return array


def as_square(name: str, value: ArrayLike) -> np.ndarray:
    """Return a finite square matrix."""
    array = as_array(name, value)
    if array.ndim != 2 or array.shape[0] != array.shape[1]:
        raise ValueError(f"`{name}` must be a square matrix; got shape {array.shape}.")
    return array


def as_symmetric(name: str, value: ArrayLike, size: int, *, because: str = "") -> np.ndarray:
    """Return a finite symmetric (Hermitian) matrix, exactly symmetrised.

    Asymmetry above 1e-8 of the largest entry is refused: it is a mistake, not rounding.
    """
    array = as_matrix(name, value, (size, size), because=because)
    gap = np.abs(array - array.conj().T).max(initial=0.0)
    if gap > 1e-8 * np.abs(array).max(initial=0.0):
        raise ValueError(
            f"`{name}` must be symmetric; `{name}` - `{name}`.T has entries of {gap:.3g}."
        )
    return (array + array.conj().T) / 2


def as_covariance(name: str, value: ArrayLike, size: int, *, because: str = "") -> np.ndarray:
    """Return a symmetric positive semidefinite matrix (to -1e-10 of its largest eigenvalue)."""
    array = as_symmetric(name, value, size, because=because)
    require_semidefinite(name, array)
    return array


def require_semidefinite(name: str, array: np.ndarray) -> None:
    """Raise if a symmetric matrix has an eigenvalue below -1e-10 times its largest."""
    if array.size == 0:
        return
    eigenvalues = np.linalg.eigvalsh(array)
    if eigenvalues[0] < -1e-10 * max(eigenvalues[-1], 0.0) or eigenvalues[-1] < 0.0:
        raise ValueError(
            f"`{name}` must be positive semidefinite; its smallest eigenvalue is "
            f"{eigenvalues[0]:.3g} (largest {eigenvalues[-1]:.3g})."
        )


def as_signal(
    name: str, value: ArrayLike, channels: int | None, *, allow_nan: bool = False
) -> np.ndarray:
    """Return a real signal of shape (..., T, channels), time first; 1-D means one channel.

    Parameters
    ----------
    name : str
        The argument's name, for messages.
    value : array_like
        The samples. Leading axes are batch.
    channels : int or None
        Required number of channels; None accepts any.
    allow_nan : bool, default False
        Accept NaN as "missing".

    Returns
    -------
    ndarray
        A checked copy with at least two axes.
    """
    array = as_array(name, value, allow_nan=allow_nan)
    if np.iscomplexobj(array):
        raise TypeError(f"`{name}` must be real; got complex samples.")
    if array.ndim == 0:
        raise ValueError(f"`{name}` must be a signal with time first; got a single number.")
    if array.ndim == 1:
        array = array[:, np.newaxis]
    if channels is not None and array.shape[-1] != channels:
        hint = ""
        if array.ndim == 2 and array.shape[0] == channels:
            hint = f" Time runs along the first axis: pass `{name}.T` if yours runs along the last."
        raise ValueError(f"`{name}` must have shape (T, {channels}); got {np.shape(value)}.{hint}")
    return array


def as_integer(name: str, value: Any, *, minimum: int = 0) -> int:
    """Return a plain int of at least `minimum`; floats, even whole ones, and bools are refused."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"`{name}` must be an integer; got {value!r}.")
    if value < minimum:
        raise ValueError(f"`{name}` must be at least {minimum}; got {value}.")
    return int(value)


def require_memory(asked: str, numbers: int) -> None:
    """Raise if an array would take more than a quarter of the memory of this machine.

    Parameters
    ----------
    asked : str
        Begins the message: the arguments that ask for it, with their values.
    numbers : int
        How many floats the array holds.
    """
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # a system that does not tell
        memory = 2**34
    if 8 * numbers > memory // 4:
        raise ValueError(
            f"{asked} must fit in memory: this takes {8 * numbers / 1e9:.3g} GB, more than a "
            f"quarter of the {memory / 1e9:.3g} GB of this machine. Ask for less."
        )


def as_real(name: str, value: Any, *, above: float = -np.inf, below: float = np.inf) -> float:
    """Return a finite float strictly between `above` and `below`."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(
        value, (int, float, np.integer, np.floating)
    ):
        raise TypeError(f"`{name}` must be a real number; got {value!r}.")
    if not _finite(value) or not above < value < below:
        bounds = f"above {above:g}" if np.isinf(below) else f"between {above:g} and {below:g}"
        wanted = "finite" if np.isinf(above) and np.isinf(below) else f"finite and {bounds}"
        raise ValueError(f"`{name}` must be {wanted}; got {value}.")
    return float(value)


def as_dt(value: Any) -> float:
    """Return the sample time: positive for discrete time, 0.0 for continuous time."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(
        value, (int, float, np.integer, np.floating)
    ):
        raise TypeError(
            f"`dt` must be a number: the sample time, or 0.0 for continuous time; got {value!r}."
        )
    if not _finite(value) or value < 0:
        raise ValueError(f"`dt` must be finite and non-negative; got {value}.")
    return float(value)


def as_flag(name: str, value: Any) -> bool:
    """Return True or False; nothing else is taken for one of them."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"`{name}` must be True or False; got {value!r}.")
    return bool(value)


def as_choice(name: str, value: Any, choices: Sequence[str]) -> str:
    """Return `value` if it is one of the named choices."""
    if not isinstance(value, str) or value not in choices:
        options = ", ".join(repr(c) for c in choices)
        raise ValueError(f"`{name}` must be one of {options}; got {value!r}.")
    return value


def as_items(name: str, value: Any, what: str) -> list[Any]:
    """Return the items of a list or another iterable; text, tables and mappings are refused."""
    if isinstance(value, (str, bytes)) or hasattr(value, "keys") or not isinstance(value, Iterable):
        raise TypeError(f"`{name}` must be a list of {what}; got {type(value).__name__}.")
    try:
        return list(value)
    except TypeError:  # an array without axes
        raise TypeError(f"`{name}` must be a list of {what}; got a single number.") from None


def as_instance(name: str, value: Any, classes: tuple[type, ...]) -> Any:
    """Return `value` if it is an instance of one of the record classes."""
    if not isinstance(value, classes):
        wanted = " or ".join(c.__name__ for c in classes)
        fields = getattr(type(value), "__dataclass_fields__", ())
        held = "model" in fields and isinstance(value.model, classes)
        advice = " Pass its `.model`." if held else ""
        raise TypeError(f"`{name}` must be a {wanted}; got {type(value).__name__}.{advice}")
    return value


def as_generator(rng: Rng) -> np.random.Generator:
    """Return a NumPy Generator from a seed, a Generator (used as it is) or None (fresh entropy)."""
    if rng is None or isinstance(rng, np.random.Generator):
        return np.random.default_rng(rng)
    if isinstance(rng, (bool, np.bool_)) or not isinstance(rng, (int, np.integer)):
        raise TypeError(
            f"`rng` must be an int, a numpy Generator or None; got {type(rng).__name__}."
        )
    return np.random.default_rng(as_integer("rng", rng))


def require_discrete(model: Any, task: str) -> None:
    """Raise if a record is in continuous time, saying how to sample it."""
    if model.dt == 0.0:
        raise ValueError(
            f"{task} needs a discrete-time model; this {type(model).__name__} has dt = 0 "
            "(continuous time). Call discretize(model, dt) first."
        )


def require_path(path: Any) -> None:
    """Raise unless a file is named by text or a path; numbers are files that are open."""
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"`path` must be a str or a path; got {type(path).__name__}.")


def require_file(path: Any) -> None:
    """Raise unless a file is named that is there to be read."""
    require_path(path)
    if not os.path.exists(path):
        where = "" if os.path.isabs(path) else f" in {os.getcwd()!r}"
        raise FileNotFoundError(
            f"`path` must name a file that exists; there is no {os.fspath(path)!r}{where}. Check "
            "the spelling, or give the whole path."
        )
    if os.path.isdir(path):
        raise IsADirectoryError(
            f"`path` must name a file; {os.fspath(path)!r} is a folder. Name a file in it."
        )


def require_target(path: Any) -> None:
    """Raise unless a file is named that can be written: better now than after the work."""
    require_path(path)
    name, folder = os.fspath(path), os.path.dirname(os.path.abspath(path))
    if os.path.isdir(path):
        raise IsADirectoryError(f"the file to write, {name!r}, is a folder: name a file in it.")
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"there is no folder {folder!r} to write {name!r} to: make it.")
    if not os.access(path if os.path.exists(path) else folder, os.W_OK):
        raise PermissionError(f"{name!r} cannot be written: permission is denied. Name another.")


def _finite(value: Any) -> bool:
    """Return whether a real number is finite, and small enough for a float."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False
