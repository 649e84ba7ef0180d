"""Layers run on one record of numpy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch


def run(
    layer: Any, u: np.ndarray, y: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return output and innovation of a layer for one record."""
    with torch.no_grad():
        signals = [None if s is None else torch.as_tensor(s)[None] for s in (u, y)]
        out = layer(signals[0].to(layer.S_chol.dtype), y=signals[1])
    innovation = None if out.innovation is None else out.innovation[0].double().numpy()
    return out.y[0].double().numpy(), innovation


def relative(got: np.ndarray, wanted: np.ndarray) -> float:
    """Return the largest error, relative to the largest entry wanted."""
    return np.abs(got - wanted).max(initial=0.0) / (np.abs(wanted).max(initial=0.0) or 1.0)
