"""Options with which hardware is built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xdsl.dialects.func import FuncOp

from mase_opt.lib.errors import UserError
from mase_opt.lib.search.space import Decision, Point, Space, hardware_options
from mase_opt.lib.search.tables import check_keys, choices_of, table_of


class Hardware(Space):
    """
    Options of the passes that build hardware, in the table `choices`.

    All are whole numbers, but for `stall`: `max_logic_depth = [3, 6]`, `dsp = [0, 16]`.
    """

    name = "hardware"

    def __init__(self, table: Mapping[str, Any], function: FuncOp):
        where = "search_space"
        check_keys(table, ("name", "choices"), where)
        path = f"{where}.choices"
        choices = table_of(table.get("choices", {}), path)
        known = [o for options in hardware_options().values() for o in options]
        check_keys(choices, known, path)
        self._choices = {k: choices_of(v, f"{path}.{k}") for k, v in choices.items()}
        for key, values in self._choices.items():
            kind = bool if key == "stall" else int
            for value in values:
                if type(value) is not kind or value < 0:
                    raise UserError(
                        f"{path}.{key} lists {value!r}, expected "
                        f"{'true or false' if kind is bool else 'whole numbers'}"
                    )
        if not self.parameters():
            raise UserError(
                f"{path} leaves nothing to choose: list several values, such as "
                "max_logic_depth = [3, 6]"
            )

    def parameters(self) -> Mapping[str, tuple[Any, ...]]:
        return {key: v for key, v in self._choices.items() if len(v) > 1}

    def decision(self, point: Point) -> Decision:
        chosen = {k: point.get(k, v[0]) for k, v in self._choices.items()}
        return Decision(hardware=chosen)
