"""mase-opt: torch models to SystemVerilog that computes the same bits."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mase_opt.frontend.from_torch import from_torch
    from mase_opt.frontend.import_torch import import_torch
    from mase_opt.frontend.to_torch import to_torch

__version__ = "0.1.0"

__all__ = ["__version__", "from_torch", "import_torch", "to_torch"]


def __getattr__(name: str) -> object:
    # Importing the package stays cheap: torch and the IR come with their first use.
    if name in ("from_torch", "import_torch", "to_torch"):
        from importlib import import_module

        return getattr(import_module(f"mase_opt.frontend.{name}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
