"""Number formats: what each code means, and how reals become codes. No IR here."""

from mase_opt.lib.formats.binary import Binary
from mase_opt.lib.formats.block import E8M0, Block, Encoded, Exponent
from mase_opt.lib.formats.choose import choose_format, choose_fraction
from mase_opt.lib.formats.clipping import Method
from mase_opt.lib.formats.fixed import Fixed
from mase_opt.lib.formats.format import Element, Format
from mase_opt.lib.formats.log import Log
from mase_opt.lib.formats.minifloat import Kind, MiniFloat
from mase_opt.lib.formats.rounding import (
    FormatError,
    Overflow,
    Rounding,
    RoundingMode,
    Stochastic,
    parse_rounding,
)
from mase_opt.lib.formats.scaled import Scaled, ScaleLayout
from mase_opt.lib.formats.spec import (
    FormatSpec,
    ScaledSpec,
    Spec,
    add_family,
    parse_spec,
)
from mase_opt.lib.formats.ternary import Ternary

__all__ = [
    "E8M0",
    "Binary",
    "Block",
    "Element",
    "Encoded",
    "Exponent",
    "Fixed",
    "Format",
    "FormatError",
    "FormatSpec",
    "Kind",
    "Log",
    "Method",
    "MiniFloat",
    "Overflow",
    "Rounding",
    "RoundingMode",
    "ScaleLayout",
    "Scaled",
    "ScaledSpec",
    "Spec",
    "Stochastic",
    "Ternary",
    "add_family",
    "choose_format",
    "choose_fraction",
    "parse_rounding",
    "parse_spec",
]
