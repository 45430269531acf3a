"""mase-opt: torch models to SystemVerilog that computes the same bits."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mase_opt.frontend.import_torch import import_torch

__version__ = "0.1.0"

__all__ = ["__version__", "import_torch"]


def __getattr__(name: str) -> object:
    # Importing the package stays cheap: torch and the IR come with their first use.
    if name == "import_torch":
        from mase_opt.frontend.import_torch import import_torch

        return import_torch
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
