"""Models by name; modules of torch are imported when one is built."""

from mase_opt.training.models import small

__all__ = ["small"]
