"""Dynamic textures: video in, a linear stochastic model, and films of any length out."""

from realization import load, save

from .edit import blend, change_speed, intensify, scale_detail
from .learning import learn
from .metrics import TextureMetrics, evaluate
from .model import DynamicTexture
from .synthesis import synthesize
from .video import FrameSource, read_video
from .writer import VideoWriter, open_writer

__all__ = [
    "DynamicTexture",
    "FrameSource",
    "TextureMetrics",
    "VideoWriter",
    "blend",
    "change_speed",
    "evaluate",
    "intensify",
    "learn",
    "load",
    "open_writer",
    "read_video",
    "save",
    "scale_detail",
    "synthesize",
]
