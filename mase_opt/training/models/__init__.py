"""Models by name; modules of torch are imported when one is built."""

from mase_opt.training.models import mlperf_tiny, small, text, vision

__all__ = ["mlperf_tiny", "small", "text", "vision"]
