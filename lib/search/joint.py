"""Several spaces at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xdsl.dialects.func import FuncOp

from mase_opt.lib.errors import UserError
from mase_opt.lib.search.space import (
    CALIBRATE,
    QUANTIZE,
    SPACES,
    Decision,
    Point,
    Space,
)
from mase_opt.lib.search.tables import check_keys, table_of

_LAST = (CALIBRATE, QUANTIZE)
"""What sees the weights as other passes leave them."""


class Joint(Space):
    """
    The spaces in the table `spaces`, each under a name of its own.

    A parameter is called by that name and its own: `precision.fc1.weight`.
    """

    name = "joint"

    def __init__(self, table: Mapping[str, Any], function: FuncOp):
        where = "search_space"
        check_keys(table, ("name", "spaces"), where)
        self._spaces: dict[str, Space] = {}
        for key, value in table_of(table.get("spaces", {}), f"{where}.spaces").items():
            own = table_of(value, f"{where}.spaces.{key}")
            made = SPACES.find(own.get("name"), f"{where}.spaces.{key}.name")
            try:
                self._spaces[key] = made(own, function)
            except UserError as error:
                path = f"{where}.spaces.{key}"
                raise UserError(str(error).replace(where, path, 1)) from error
        if not self._spaces:
            raise UserError(f"{where}.spaces holds no space")
        try:
            self.decision({k: values[0] for k, values in self.parameters().items()})
        except UserError as error:
            raise UserError(f"{where}.spaces: {error}") from error

    def parameters(self) -> Mapping[str, tuple[Any, ...]]:
        return {
            f"{name}.{key}": values
            for name, space in self._spaces.items()
            for key, values in space.parameters().items()
        }

    def decision(self, point: Point) -> Decision:
        passes: list[tuple[str, Mapping[str, Any]]] = []
        hardware: dict[str, Any] = {}
        for name, space in self._spaces.items():
            own = {key: point[f"{name}.{key}"] for key in space.parameters()}
            decision = space.decision(own)
            passes += decision.passes
            for option, value in decision.hardware.items():
                if option in hardware:
                    raise UserError(f"two spaces choose the hardware's {option}")
                hardware[option] = value
        first = [entry for entry in passes if entry[0] not in _LAST]
        for last in _LAST:
            own = [entry for entry in passes if entry[0] == last]
            if len(own) > 1 and any(entry != own[0] for entry in own):
                raise UserError(f"two spaces choose how {last} runs: join them")
            first += own[:1]
        return Decision(tuple(first), hardware)
