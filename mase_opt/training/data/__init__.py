"""Data sets by name; their packages are imported when one is loaded."""

from mase_opt.training.data import images, jets, small, speech, streams, text

__all__ = ["images", "jets", "small", "speech", "streams", "text"]
