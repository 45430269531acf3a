"""mase-opt: torch models to SystemVerilog that computes the same bits."""

import os
import sys
from importlib.machinery import ModuleSpec, PathFinder
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mase_opt.lib.cost.estimate import Estimate
    from mase_opt.lib.errors import UserError
    from mase_opt.lib.quantization.recipe import Recipe
    from mase_opt.model.emit import Result
    from mase_opt.model.model import Level, Model, from_torch, import_torch, load
    from mase_opt.search.study import Study, Tried

__version__ = "0.1.0"

__all__ = [
    "Estimate",
    "Level",
    "Model",
    "Recipe",
    "Result",
    "Study",
    "Tried",
    "UserError",
    "__version__",
    "from_torch",
    "import_torch",
    "load",
]

_HOMES = {
    "Estimate": "mase_opt.lib.cost.estimate",
    "Level": "mase_opt.model.model",
    "Model": "mase_opt.model.model",
    "Recipe": "mase_opt.lib.quantization.recipe",
    "Result": "mase_opt.model.emit",
    "Study": "mase_opt.search.study",
    "Tried": "mase_opt.search.study",
    "UserError": "mase_opt.lib.errors",
    "from_torch": "mase_opt.model.model",
    "import_torch": "mase_opt.model.model",
    "load": "mase_opt.model.model",
}


def __getattr__(name: str) -> object:
    # Importing the package stays cheap: torch and the IR come with their first use.
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _CloneFinder:
    """
    Finds in a clone what is elsewhere when the package is installed.

    From the clone's root, `import mase_opt` takes this folder, whatever is installed.
    """

    @staticmethod
    def find_spec(
        name: str, path: object = None, target: object = None
    ) -> ModuleSpec | None:
        """The spec of a folder beside this one, or of what an installation compiled."""
        match name:
            case "mase_opt.dialects" | "mase_opt.lib" | "mase_opt.tools":
                places = [os.path.dirname(os.path.dirname(__file__))]
            case "mase_opt.lib.native._native":
                places = [os.path.join(p, "mase_opt/lib/native") for p in sys.path]
            case _:
                return None
        return PathFinder.find_spec(name, places)


# Last: an installation, editable or not, finds everything by itself.
sys.meta_path.append(_CloneFinder)
