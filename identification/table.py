"""Reading measurements from files: text, .npz, and what pandas reads as .parquet or .feather.

Text is CSV, or columns separated by tabs or blanks. The first line is a header when none of its
fields is a number. Lines that start with ``#`` or ``%`` are comments. Where semicolons separate, a
comma is a decimal point. Only the columns that are asked for must be numbers: a file may hold dates
or remarks beside them. In an .npz file every array (T,) is a column, an array (T, k) is k columns
that are asked for together.
"""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from realization.internal import counted, require_file

__all__ = ["Column", "read_columns"]

Column = str | int
MISSING = ("", "na", "n/a", "nan", "null")


def read_columns(
    path: str | Path, *groups: Sequence[Column]
) -> list[tuple[tuple[str, ...], np.ndarray]]:
    """Return for each group of columns their names and values (T, k); NaN where missing.

    A column is given by its name in the header, or by its number from 0 (as int or in digits). The
    first group must name at least one.
    """
    require_file(path)
    path = Path(path)
    if path.suffix.lower() == ".npz":
        names, arrays = _npz_arrays(path)
        header = True
    elif path.suffix.lower() in (".parquet", ".feather"):
        names, arrays = _frame_arrays(path)
        header = True
    else:
        first, rows = _fields(path)
        header, arrays = bool(first), rows
        names = first or [f"column {k}" for k in range(len(rows[0]))]
    known = ", ".join(f"{k} {name!r}" if header else str(k) for k, name in enumerate(names))
    if not groups[0]:
        raise ValueError(f"`y` must name at least one column; those of {path.name} are {known}.")
    found = [[_find(column, names, header, path.name, known) for column in g] for g in groups]
    if isinstance(arrays, dict):
        return [_stacked(names, arrays, numbers, path.name) for numbers in found]
    return [
        (tuple(names[k] for k in numbers), _parsed(names, arrays, numbers, path.name))
        for numbers in found
    ]


def _parsed(names: list[str], rows: list[list[str]], numbers: list[int], file: str) -> np.ndarray:
    """Return columns of a text file as numbers (T, k)."""
    values = np.empty((len(rows), len(numbers)))
    for k, number in enumerate(numbers):
        for t, row in enumerate(rows):
            value = _number(row[number])
            if value is None:
                raise ValueError(
                    f"column {number} ({names[number]!r}) of {file} must hold numbers; found "
                    f"{row[number]!r} in row {t + 1} of the data.{_advice(row[number], t)}"
                )
            values[t, k] = value
    return values


def _advice(field: str, row: int) -> str:
    """Return what to do about a field that is no number, or nothing."""
    if _number(field.replace(",", ".")) is not None:
        return " A decimal comma is read where semicolons separate the columns."
    if row == 0 and not field[0].isdigit():
        return " Where that is a line of units, begin it with #."
    return ""


def _stacked(
    names: list[str], arrays: dict[str, np.ndarray], numbers: list[int], file: str
) -> tuple[tuple[str, ...], np.ndarray]:
    """Return arrays side by side (T, k), with a name for every column."""
    columns, labels = [], []
    for name in (names[number] for number in numbers):
        array = arrays[name]
        if array.ndim not in (1, 2) or array.dtype.kind not in "biuf":
            raise ValueError(
                f"{name!r} of {file} must hold numbers in the shape (T,) or (T, k); got "
                f"{array.dtype} of shape {array.shape}."
            )
        array = array.reshape(len(array), -1)
        if columns and len(array) != len(columns[0]):
            raise ValueError(
                f"the columns of {file} must be equally long; {name!r} has "
                f"{counted(len(array), 'sample')}, {labels[0]!r} has {len(columns[0])}."
            )
        columns.append(array)
        width = array.shape[1]
        labels += [name] if width == 1 else [f"{name}{k + 1}" for k in range(width)]
    return tuple(labels), np.hstack(columns) if columns else np.zeros((0, 0))


def _npz_arrays(path: Path) -> tuple[list[str], dict[str, np.ndarray]]:
    """Return the arrays of an .npz file."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (EOFError, ValueError, AttributeError, zipfile.BadZipFile):
        raise ValueError(
            f"{path.name} must be an archive of numbers that numpy.savez wrote; it is something "
            "else, holds objects, or is damaged. Write it again, or give the table as CSV."
        ) from None
    if not arrays:
        raise ValueError(f"{path.name} holds no data: it is an archive without arrays.")
    return list(arrays), arrays


def _frame_arrays(path: Path) -> tuple[list[str], dict[str, np.ndarray]]:
    """Return the columns of a file of data frames."""
    try:
        import pandas

        read = pandas.read_parquet if path.suffix.lower() == ".parquet" else pandas.read_feather
        frame = read(path)
    except ImportError:
        raise ImportError(
            f"reading {path.name} needs pandas and pyarrow; or save it as CSV."
        ) from None
    except (OSError, ValueError):  # of pyarrow, with more lines than a reader wants
        raise ValueError(
            f"{path.name} must be a {path.suffix[1:]} table; it is something else or damaged. "
            "Write it again, or save it as CSV."
        ) from None
    arrays = {str(name): frame.iloc[:, k].to_numpy() for k, name in enumerate(frame.columns)}
    return list(arrays), arrays


def _fields(path: Path) -> tuple[list[str], list[list[str]]]:
    """Split a file into its header (empty without one) and its rows of stripped fields."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path.name} must be a text file in UTF-8; {error.reason} at byte {error.start}. Save "
            "the table as CSV with that encoding."
        ) from None
    if "\0" in text:
        raise ValueError(f"{path.name} must be a text file; it is binary. Save the table as CSV.")
    lines = [line.strip(" \r") for line in text.split("\n")]
    lines = [line for line in lines if line.strip() and line[0] not in "#%"]
    if not lines:
        raise ValueError(f"{path.name} holds no data.")
    separator = next((mark for mark in "\t;," if mark in lines[0]), None)
    if separator is None:
        rows = [line.split() for line in lines]
    else:
        rows = [[field.strip() for field in row] for row in csv.reader(lines, delimiter=separator)]
    for number, row in enumerate(rows):
        if len(row) != len(rows[0]):
            raise ValueError(
                f"every row of {path.name} must have as many fields as the first, {len(rows[0])}; "
                f"row {number} (from 0, comments not counted) has {len(row)}: {lines[number]!r}."
            )
    if separator and all(row[-1] == "" for row in rows):  # one at the end of every line
        rows = [row[:-1] for row in rows]
    values = rows
    if separator == ";":
        values = [[field.replace(",", ".") for field in row] for row in rows]
    if any(field and _number(field) is not None for field in values[0]):
        return [], values
    if len(rows) == 1:
        raise ValueError(f"{path.name} holds no data below its header {rows[0]}.")
    return rows[0], values[1:]


def _number(field: str) -> float | None:
    """Return a field as a number, NaN when it is missing, None when it is something else."""
    try:
        return float(field)
    except ValueError:
        return float("nan") if field.lower() in MISSING else None


def _find(column: Column, names: list[str], header: bool, file: str, known: str) -> int:
    """Return the number of a column that is given by name or by number."""
    if header and isinstance(column, str) and column in names:
        if names.count(column) > 1:
            raise ValueError(
                f"{file} has {names.count(column)} columns named {column!r}: ask by number; its "
                f"columns are {known}."
            )
        return names.index(column)
    number = int(column) if isinstance(column, int) or column.isdecimal() else -1
    if not 0 <= number < len(names):
        raise ValueError(f"{file} has no column {column!r}; its columns are {known}.")
    return number
