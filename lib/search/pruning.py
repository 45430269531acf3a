"""How sparse weights are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from xdsl.dialects.func import FuncOp
from xdsl.utils.arg_spec import ArgSpec

from mase_opt.lib.analysis.weights import find_weights
from mase_opt.lib.errors import UserError
from mase_opt.lib.model_function import layer_of
from mase_opt.lib.search.space import CALIBRATE, Decision, Point, Space
from mase_opt.lib.search.tables import check_keys, configs_of
from mase_opt.lib.suggest import did_you_mean
from mase_opt.lib.transforms.mase_prune import MasePrunePass
from mase_opt.pass_options import build_pass

_KEYS = ("sparsity", "granularity", "scope", "method", "norm", "seed")


class Pruning(Space):
    """
    Options of `mase-prune`, lists for single values.

    `seed.<key>.config` holds them for a layer, or for all others: `default`. What is
    pruned is calibrated again, since the calibration is of other weights.
    """

    name = "pruning"

    def __init__(self, table: Mapping[str, Any], function: FuncOp):
        where = "search_space"
        check_keys(table, ("name", "seed"), where)
        self._seed = configs_of(table.get("seed", {}), f"{where}.seed")
        weights = find_weights(function, None, by_output=False)
        layers = [layer_of(op) or "" for weight in weights for op, _ in weight.uses]
        for key, config in self._seed.items():
            if key != "default" and key not in layers:
                raise UserError(
                    f"{where}.seed: there is no layer '{key}' with weights"
                    f"{did_you_mean(key, layers)} (layers: {', '.join(layers)})"
                )
            check_keys(config, _KEYS, f"{where}.seed.{key}.config")
            _check_values(config, f"{where}.seed.{key}.config")
        if not self.parameters():
            raise UserError(
                f"{where}.seed leaves nothing to choose: list several values, such as "
                "sparsity = [0.0, 0.5]"
            )

    def parameters(self) -> Mapping[str, tuple[Any, ...]]:
        return {
            f"{key}.{option}": values
            for key, config in self._seed.items()
            for option, values in config.items()
            if len(values) > 1
        }

    def decision(self, point: Point) -> Decision:
        passes: list[tuple[str, Mapping[str, Any]]] = []
        for key, config in self._seed.items():
            options = {k: point.get(f"{key}.{k}", v[0]) for k, v in config.items()}
            options["layers"] = self._pattern(key)
            # Of no weights: what is there stays, and so does its calibration.
            if options.get("sparsity", 1) > 0:
                passes.append((MasePrunePass.name, options))
        if passes:
            passes.append((CALIBRATE, {}))
        return Decision(tuple(passes))

    def _pattern(self, key: str) -> str:
        """The regular expression for the layers of a key."""
        if key != "default":
            return re.escape(key)
        others = "|".join(re.escape(k) for k in self._seed if k != "default")
        return f"(?!(?:{others})$).*" if others else ".*"


def _check_values(config: Mapping[str, tuple[Any, ...]], where: str) -> None:
    """Raises `UserError` for values that the pass never takes."""
    name = MasePrunePass.name
    for key, values in config.items():
        for value in values:
            try:
                build_pass(
                    {name: lambda: MasePrunePass}, ArgSpec(name, {key: (value,)})
                )
            except UserError as error:
                raise UserError(f"{where}.{key}: {error}") from error
            if key == "sparsity" and isinstance(value, str):
                raise UserError(f"{where}.sparsity lists '{value}', expected numbers")
