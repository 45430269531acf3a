"""Data sets by name; their packages are imported when one is loaded."""

from mase_opt.training.data import small

__all__ = ["small"]
