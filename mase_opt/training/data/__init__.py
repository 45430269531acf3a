"""Data sets by name; their packages are imported when one is loaded."""

from mase_opt.training.data import small, streams

__all__ = ["small", "streams"]
