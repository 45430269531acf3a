"""What a search may choose: parameters with their choices, and what a point means."""

from __future__ import annotations

import json
import tomllib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from xdsl.dialects.builtin import BytesAttr, StringAttr
from xdsl.dialects.func import FuncOp

from mase_opt.lib.errors import UserError
from mase_opt.lib.quantization.recipe import Recipe, toml
from mase_opt.lib.search.registry import Registry

Point = Mapping[str, Any]
"""A choice for each parameter, by its name."""

QUANTIZE = "mase-quantize"
CALIBRATE = "mase-calibrate"
_MAKE_EXPLICIT = ("mase-lower-block-arithmetic", "mase-lower-to-lookup")
"""What comes before the passes that build hardware."""
DECISION = "mase.decision"
"""The attribute of a function that a search has decided on."""


@dataclass(frozen=True)
class Decision:
    """What a point means: passes that make the model, options of its hardware."""

    passes: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    """
    Passes with their options, in order.

    Those of `mase-quantize` are the arguments of `Recipe`. A `mase-calibrate` without
    `data` takes the search's.
    """
    hardware: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Options of `Model.emit`."""

    @property
    def key(self) -> str:
        """The same text for the same decision."""
        return json.dumps([self.passes, self.hardware], sort_keys=True)

    def toml(self) -> str:
        """The run file with which `mase-opt --config` reproduces the decision."""
        parts = [_pass_toml(name, options) for name, options in self.passes]
        parts += [_pass_toml(n, o) for n, o in _hardware_passes(self.hardware)]
        return "\n".join(parts)


def _pass_toml(name: str, options: Mapping[str, Any]) -> str:
    if name == QUANTIZE:
        text = Recipe(**options).to_toml()
        # That the model says so itself.
        return f"{text.replace('[passes.quantize', '[passes.set-recipe')}\n{text}"
    lines = [f"[passes.{name.removeprefix('mase-')}]"]
    lines += [f"{key.replace('_', '-')} = {toml(v)}" for key, v in options.items()]
    return "\n".join(lines) + "\n"


def _hardware_passes(
    hardware: Mapping[str, Any],
) -> list[tuple[str, Mapping[str, Any]]]:
    """All passes down to hardware, with options; none if nothing is chosen."""
    if not hardware:
        return []
    return [
        *((name, {}) for name in _MAKE_EXPLICIT),
        *(
            (name, {k: v for k, v in hardware.items() if k in options})
            for name, options in hardware_options().items()
        ),
    ]


def hardware_options() -> dict[str, list[str]]:
    """The options of the passes that build hardware, by their names."""
    from mase_opt.lib.conversion.convert_mase_to_hw import ConvertMaseToHwPass
    from mase_opt.lib.transforms.mase_build_adder_graphs import (
        MaseBuildAdderGraphsPass,
    )

    return {
        made.name: [field.name for field in fields(made)]
        for made in (MaseBuildAdderGraphsPass, ConvertMaseToHwPass)
    }


def record(function: FuncOp, decision: Decision) -> None:
    """Let a function carry, as `mase.decision`, the run file that reproduces it."""
    function.attributes[DECISION] = StringAttr(decision.toml())


def decided_hardware(function: FuncOp) -> Mapping[str, Mapping[str, tuple[Any, ...]]]:
    """Options of the passes that build hardware, as `mase.decision` has them."""
    attribute = function.attributes.get(DECISION)
    match attribute:
        case StringAttr():
            text = attribute.data
        case BytesAttr():  # text that is not ASCII, once it was printed
            text = attribute.data.decode()
        case _:
            return {}
    try:
        passes: dict[str, dict[str, Any]] = tomllib.loads(text).get("passes", {})
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{DECISION} is no run file: {error}") from error
    tables = {
        name: passes.get(name.removeprefix("mase-")) for name in hardware_options()
    }
    return {
        name: {key: (value,) for key, value in table.items()}
        for name, table in tables.items()
        if isinstance(table, dict)
    }


class Space(ABC):
    """The points among which a search chooses; made for one model."""

    name: ClassVar[str]

    @abstractmethod
    def __init__(self, table: Mapping[str, Any], function: FuncOp):
        """`table` is `[search.search_space]`; raises `UserError` if it is wrong."""

    @abstractmethod
    def parameters(self) -> Mapping[str, tuple[Any, ...]]:
        """The choices of each parameter, in order; names are like `fc1.weight`."""

    @abstractmethod
    def decision(self, point: Point) -> Decision:
        """What a point means; raises `UserError` for one without meaning."""


_HERE = "mase_opt.lib.search"
SPACES: Registry[Space] = Registry(
    "space",
    {
        "mixed_precision": f"{_HERE}.mixed_precision:MixedPrecision",
        "graph/quantize/mixed_precision_ptq": f"{_HERE}.mixed_precision:MixedPrecision",
        "pruning": f"{_HERE}.pruning:Pruning",
        "hardware": f"{_HERE}.hardware:Hardware",
        "joint": f"{_HERE}.joint:Joint",
    },
)
"""All spaces; `SPACES.add` is a decorator."""
