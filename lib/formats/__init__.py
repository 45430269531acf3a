"""Number formats: what each code means, and how reals become codes. No IR here."""

from mase_opt.lib.formats.choose import Method, choose_fraction
from mase_opt.lib.formats.fixed import Fixed
from mase_opt.lib.formats.rounding import FormatError, Overflow, RoundingMode
from mase_opt.lib.formats.spec import FormatSpec, parse_format

__all__ = [
    "Fixed",
    "FormatError",
    "FormatSpec",
    "Method",
    "Overflow",
    "RoundingMode",
    "choose_fraction",
    "parse_format",
]
