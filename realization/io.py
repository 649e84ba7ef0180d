"""Save and load records as .npz archives.

An archive holds one text, ``record.json``, that says which class with which fields, and one array
for each array field under its own name (``A``, ``model.A``), so that ``numpy.load`` alone can read
them. Nothing is pickled, and a record is rebuilt through its constructor, which checks it.

Other packages add their classes with ``realization.internal.register_record``.
"""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import numpy as np

from ._validation import require_file, require_target
from .bilinear import BilinearSSM
from .models import CovarianceModel, GaussianSSM, InnovationSSM, LinearSSM

__all__ = ["load", "register_record", "save"]

FORMAT = 1
_CLASSES: dict[str, type] = {}

Class = TypeVar("Class")


def register_record(cls: type[Class]) -> type[Class]:
    """Make instances of a dataclass savable by :func:`save`; usable as a decorator.

    Parameters
    ----------
    cls : type
        A dataclass whose constructor takes its fields by name. Fields may hold arrays, numbers,
        strings, None, lists, tuples, dictionaries with string keys, and registered records.

    Returns
    -------
    type
        The class itself.

    Raises
    ------
    TypeError
        If `cls` is not a dataclass.
    ValueError
        If another class of this name is registered.
    """
    if not is_dataclass(cls):
        raise TypeError(f"`cls` must be a dataclass; got {cls!r}.")
    other = _CLASSES.setdefault(cls.__name__, cls)
    if (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
        raise ValueError(
            f"`cls` must have a name of its own in archives: {cls.__name__!r} is "
            f"{other.__module__}.{other.__qualname__} already."
        )
    return cls


for _cls in (LinearSSM, GaussianSSM, InnovationSSM, CovarianceModel, BilinearSSM):
    register_record(_cls)


def save(model: Any, path: str | os.PathLike[str]) -> None:
    """Save a record to a file.

    Parameters
    ----------
    model : record
        A model of this package, or any record registered by the packages built on it.
    path : str or path
        The file to write, `.npz` by custom; written as named, replaced if it exists.

    Raises
    ------
    TypeError
        If `model` is no record, or has a field that cannot be saved.
    OSError
        If there is no such folder, or the file cannot be written.

    See Also
    --------
    load : The way back.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> import realization
    >>> model = realization.LinearSSM([[0.5]], [[1.0]], [[2.0]], dt=0.1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.npz")
    ...     realization.save(model, path)
    ...     back = realization.load(path)
    >>> back
    LinearSSM(1 state, 1 input, 1 output, dt=0.1)
    >>> bool(np.array_equal(back.A, model.A))
    True
    """
    if _CLASSES.get(type(model).__name__) is not type(model):
        raise TypeError(
            f"`model` must be one of {', '.join(sorted(_CLASSES))}; got {type(model).__name__}."
        )
    require_target(path)
    arrays: dict[str, np.ndarray] = {}
    record = json.dumps({"format": FORMAT, "record": _encode(model, "", arrays)}, indent=1)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("record.json", record)
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)


def load(path: str | os.PathLike[str]) -> Any:
    """Load a record that :func:`save` wrote.

    Parameters
    ----------
    path : str or path
        The file.

    Returns
    -------
    record
        Of the class that was saved, rebuilt and checked by its constructor.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not such an archive, is of a later format, holds a class that is not known
        (import the package that defines it first), or its content is refused by the constructor.

    See Also
    --------
    save : The way back, with an example.
    """
    require_file(path)
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            document = json.loads(archive["record.json"])
            version, record = document["format"], document["record"]
            arrays = {key: archive[key] for key in archive.files if key != "record.json"}
    except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        raise _not_an_archive(path) from None
    if version != FORMAT:
        raise ValueError(
            f"`path` must name an archive of format {FORMAT}; {os.fspath(path)!r} has format "
            f"{version!r}, of another release: upgrade to read it."
        )
    try:
        return _decode(record, arrays)
    except KeyError:
        raise _not_an_archive(path) from None


def _not_an_archive(path: str | os.PathLike[str]) -> ValueError:
    """Return the error for a file that is not an archive of ours, or a damaged one."""
    return ValueError(
        "`path` must name an archive that realization.save wrote; this file is something else or "
        f"damaged: {os.fspath(path)!r}."
    )


def _encode(value: Any, name: str, arrays: dict[str, np.ndarray]) -> Any:
    """Return a JSON form of a value; its arrays go to `arrays`, named by their path."""
    if isinstance(value, (np.bool_, np.integer, np.floating, np.str_)):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "biufcSU":
            _refuse(name)
        arrays[name] = value
        return {"array": name}
    prefix = f"{name}." if name else ""
    if isinstance(value, (list, tuple)):
        items = [_encode(item, f"{prefix}{i}", arrays) for i, item in enumerate(value)]
        return {"tuple" if isinstance(value, tuple) else "list": items}
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        items = {key: _encode(item, f"{prefix}{key}", arrays) for key, item in value.items()}
        return {"dict": items}
    if _CLASSES.get(type(value).__name__) is type(value):
        items = {
            f.name: _encode(getattr(value, f.name), f"{prefix}{f.name}", arrays)
            for f in fields(value)  # pyright: ignore[reportArgumentType]
            if f.init
        }
        return {"class": type(value).__name__, "fields": items}
    return _refuse(f"{name} ({type(value).__name__})")


def _refuse(name: str) -> Any:
    """Raise for a field that has no place in an archive."""
    raise TypeError(f"`model` cannot be saved: its field {name} is neither numbers nor text.")


def _decode(code: Any, arrays: dict[str, np.ndarray]) -> Any:
    """Return the value of a JSON form."""
    if not isinstance(code, dict):
        return code
    if "array" in code:
        return arrays[code["array"]]
    if "list" in code:
        return [_decode(item, arrays) for item in code["list"]]
    if "tuple" in code:
        return tuple(_decode(item, arrays) for item in code["tuple"])
    if "dict" in code:
        return {key: _decode(item, arrays) for key, item in code["dict"].items()}
    cls = _CLASSES.get(code["class"])
    if cls is None:
        raise ValueError(
            f"The archive holds a {code['class']!r}, which is not known here (known: "
            f"{', '.join(sorted(_CLASSES))}). Import the package that defines it first: "
            "identification (results of it, textures), canonical_forms or diffusion."
        )
    return cls(**{name: _decode(item, arrays) for name, item in code["fields"].items()})
