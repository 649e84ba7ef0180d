"""Reading measurements from text files: CSV, or columns separated by tabs or blanks.

The first line is a header when none of its fields is a number. Lines that start with ``#`` or
``%`` are comments. Where semicolons separate, a comma is a decimal point. Only the columns that are
asked for must be numbers: a file may hold dates or remarks beside them.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

__all__ = ["Column", "read_columns"]

Column = str | int
MISSING = ("", "na", "n/a", "nan", "null")


def read_columns(path: str | Path, columns: Sequence[Column]) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the names and the values (T, k) of some columns, at least one; NaN where missing.

    A column is given by its name in the header, or by its number from 0 (as int or in digits).
    """
    path = Path(path)
    header, rows = _fields(path)
    names = header or [f"column {k}" for k in range(len(rows[0]))]
    known = ", ".join(f"{k} {name!r}" if header else str(k) for k, name in enumerate(names))
    if not columns:
        raise ValueError(f"`y` must name at least one column; those of {path.name} are {known}.")
    numbers = [_find(column, names, bool(header), path.name, known) for column in columns]
    values = np.empty((len(rows), len(numbers)))
    for k, number in enumerate(numbers):
        for t, row in enumerate(rows):
            value = _number(row[number])
            if value is None:
                raise ValueError(
                    f"column {number} ({names[number]!r}) of {path.name} must hold numbers; found "
                    f"{row[number]!r} in row {t + 1} of the data."
                )
            values[t, k] = value
    return tuple(names[number] for number in numbers), values


def _fields(path: Path) -> tuple[list[str], list[list[str]]]:
    """Split a file into its header (empty without one) and its rows of stripped fields."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path.name} must be a text file in UTF-8; {error.reason} at byte {error.start}. Save "
            "the table as CSV with that encoding."
        ) from None
    lines = [line.strip(" \r") for line in text.split("\n")]
    lines = [line for line in lines if line.strip() and line[0] not in "#%"]
    if not lines:
        raise ValueError(f"{path.name} holds no data.")
    separator = next((mark for mark in ";,\t" if mark in lines[0]), None)
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
