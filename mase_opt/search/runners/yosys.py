"""What Yosys makes of a trial's circuit."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar, cast

from mase_opt.lib.atomic import atomic_file
from mase_opt.lib.errors import UserError
from mase_opt.lib.suggest import did_you_mean
from mase_opt.lib.target import yosys
from mase_opt.search.runner import Metric, Runner, RunnerContext, Trial

KINDS = ("lut", "ff", "dsp", "carry", "route_through", "bram", "lutram", "mux")


class Synthesis(Runner):
    """
    Resources on a Xilinx device, as Yosys counts them for `family` (xcup).

    Of a circuit that was synthesized before, with the same version of Yosys, the folder
    `cache` has them. Each process runs a Yosys of its own.
    """

    name = "yosys"
    metrics: ClassVar[Mapping[str, Metric]] = {
        f"yosys_{kind}": Metric("minimize") for kind in KINDS
    }
    keys = ("family", "cache")

    def __init__(self, table: Mapping[str, Any], context: RunnerContext):
        if (missing := yosys.available()) is not None:
            raise UserError(f"{self.name}: {missing}")
        self.family = str(table.get("family", "xcup"))
        if self.family not in yosys.FAMILIES:
            raise UserError(
                f"{self.name}: unknown family '{self.family}'"
                f"{did_you_mean(self.family, yosys.FAMILIES)} (families: "
                f"{', '.join(yosys.FAMILIES)})"
            )
        cache = table.get("cache")
        self.cache = _user_cache() if cache is None else Path(str(cache))
        self.version = yosys.version()

    def measure(self, trial: Trial) -> dict[str, float]:
        result = trial.model.emit(verify=0, **trial.decision.hardware)
        key = "\n".join([self.version, self.family, result.verilog])
        path = self.cache / f"{sha256(key.encode()).hexdigest()}.json"
        found = _read(path)
        if found is None:
            top = result.layout.top
            made = yosys.synthesize(result.verilog, top, family=self.family)
            found = made.to_json()
            with atomic_file(path) as stream:
                json.dump(found, stream, indent=1)
        return {f"yosys_{kind}": found[kind] for kind in KINDS}


def _user_cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "mase-opt" / "yosys"


def _read(path: Path) -> dict[str, Any] | None:
    """What was kept; None for nothing, and for what is not whole."""
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(found, dict) or not set(KINDS) <= set(cast("Any", found)):
        return None
    return cast("dict[str, Any]", found)
