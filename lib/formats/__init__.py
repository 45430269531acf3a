"""Number formats: what each code means, and how reals become codes. No IR here."""

from mase_opt.lib.formats.fixed import Fixed
from mase_opt.lib.formats.rounding import FormatError, Overflow, RoundingMode

__all__ = ["Fixed", "FormatError", "Overflow", "RoundingMode"]
