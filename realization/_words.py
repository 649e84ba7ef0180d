"""Counts and sizes in words: the one place where messages and every ``repr`` get them."""

from __future__ import annotations

from typing import Any

__all__ = ["counted", "outputs_and_inputs", "sized"]


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun: "1 state", "2 states"; a plural without s is given."""
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"


def outputs_and_inputs(outputs: int, inputs: int) -> str:
    """Return the numbers of channels in words: "2 outputs and 1 input"."""
    return f"{counted(outputs, 'output')} and {counted(inputs, 'input')}"


def sized(**arrays: Any) -> str:
    """Return names of arrays with their shapes: "x[601, 2], y[600, 1]"."""
    return ", ".join(f"{name}{list(array.shape)}" for name, array in arrays.items())
