"""A number format for each layer, type of layers or regular expression."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation

from mase_opt.dialects.mase.base import SameElementOp
from mase_opt.lib.errors import UserError
from mase_opt.lib.model_function import layer_of
from mase_opt.lib.quantization.classic import NAMES, keys
from mase_opt.lib.quantization.config import (
    ALONE,
    OPERANDS,
    check_by,
    parse_layer,
    parse_layers,
)
from mase_opt.lib.quantization.ops import concerned, role_of
from mase_opt.lib.quantization.recipe import OPTIONS, Recipe
from mase_opt.lib.search.space import QUANTIZE, Decision, Point, Space
from mase_opt.lib.search.tables import check_keys, choices_of, configs_of, table_of

Choices = Mapping[str, tuple[Any, ...]]
NOTHING = "NA"
"""No setting; of a fraction, half the width."""
_FRACTION = "_frac_width"
_OTHERS = ("name", "bypass", "rounding", "overflow", "accumulator", *OPERANDS)
_CLASSIC = {key for name in NAMES.values() for key in keys(name, OPERANDS)}


@dataclass(frozen=True)
class _Group:
    """What is chosen together: settings of a layer, or of all that a key fits."""

    name: str
    where: str
    choices: Choices


class MixedPrecision(Space):
    """
    Formats as `mase-quantize` has them in settings of layers, lists for single values.

    `seed.<key>.config` holds them, for the layers that `key` fits by `setup.by` (name,
    type or regex_name), `default` for the others. Every layer is a choice of its own;
    with `setup.share`, all layers of a key are one. "NA" is no setting, of a fraction
    half the width, and as a `name` no format at all. `options` holds lists of options
    of `mase-quantize` for all layers, such as the `method` that ranges are chosen by.
    """

    name = "mixed_precision"

    def __init__(self, table: Mapping[str, Any], function: FuncOp):
        where = "search_space"
        check_keys(table, ("name", "setup", "seed", "options"), where)
        setup = table_of(table.get("setup", {}), f"{where}.setup")
        check_keys(setup, ("by", "share"), f"{where}.setup")
        self._by = check_by(setup.get("by", "type"), f"{where}.setup")
        share = setup.get("share", False)
        if not isinstance(share, bool):
            raise UserError(f"{where}.setup.share is {share!r}, expected true or false")
        ops = [op for op in function.body.block.ops if concerned(op)]
        if not ops:
            raise UserError(
                f"{where}: the model is quantized already, there are no formats to "
                "choose: search from the model in floating point"
            )
        seed = configs_of(table.get("seed", {}), f"{where}.seed")
        fitting = self._fitting(seed, ops, f"{where}.seed")
        self._shared = share
        self._groups: list[_Group] = []
        for key, config in seed.items():
            path = f"{where}.seed.{key}.config"
            self._check(config, path)
            if not fitting[key]:
                continue
            choices = _of_operands(config, fitting[key], path, quiet=key == "default")
            if share:
                self._groups.append(_Group(key, path, choices))
                continue
            for layer in dict.fromkeys(layer_of(op) for op in fitting[key]):
                own = [op for op in fitting[key] if layer_of(op) == layer]
                if layer is None:
                    if key != "default":
                        raise UserError(
                            f"{path}: fits {own[0].name} without a layer name, which "
                            "cannot be told from others: set setup.share = true"
                        )
                    continue
                if key == "default" and all(isinstance(o, SameElementOp) for o in own):
                    continue
                group = _of_operands(choices, own, path, quiet=True)
                self._groups.append(_Group(layer, path, group))
        self._options = _of_all_layers(table.get("options", {}), f"{where}.options")
        if not self.parameters():
            raise UserError(
                f"{where}.seed leaves nothing to choose: list several values for some "
                "setting of some layer"
            )

    def _fitting(
        self, seed: Mapping[str, Any], ops: Sequence[Operation], where: str
    ) -> dict[str, list[Operation]]:
        """The ops that each key is for: the first that fits."""
        keyed: dict[str, dict[str, Any]] = {k: {} for k in seed if k != "default"}
        config = parse_layers(keyed, self._by, where)
        config.check(ops)
        left = list(ops)
        found: dict[str, list[Operation]] = {}
        for key in keyed:
            found[key] = config.fitting(key, left)
            left = [op for op in left if op not in found[key]]
        return found | {"default": left}

    @staticmethod
    def _check(config: Choices, where: str) -> None:
        """Raises `UserError` for keys, and values all of which, mean nothing."""
        names = config.get("name", ("integer",))
        for name in names:
            parse_layer({"name": name}, where)
        known = {key for n in names if n != ALONE for key in keys(NAMES[n], OPERANDS)}
        check_keys(config, (*_OTHERS, *sorted(known)), where)
        for operand in (*OPERANDS, "rounding", "overflow", "accumulator", "bypass"):
            own = {
                k: v
                for k, v in config.items()
                if k == operand or (k in _CLASSIC and k.startswith(f"{operand}_"))
            }
            _check_together({"name": names, **own}, where)

    def parameters(self) -> Choices:
        of_layers = {
            f"{group.name}.{key}": values
            for group in self._groups
            for key, values in group.choices.items()
        }
        every = {**of_layers, **self._options}
        return {name: values for name, values in every.items() if len(values) > 1}

    def decision(self, point: Point) -> Decision:
        layers: dict[str, dict[str, Any]] = {}
        for group in self._groups:
            chosen = {
                key: point.get(f"{group.name}.{key}", values[0])
                for key, values in group.choices.items()
            }
            if own := settings(chosen, group.where):
                layers[group.name] = own
        by = self._by if self._shared else "name"
        options = {key: point.get(key, v[0]) for key, v in self._options.items()}
        return Decision(((QUANTIZE, {**options, "by": by, "layers": layers}),))


def _of_all_layers(value: Any, where: str) -> Choices:
    """Choices of options for all layers, each of which has a meaning by itself."""
    table = table_of(value, where)
    check_keys(table, OPTIONS, where)
    found: dict[str, tuple[Any, ...]] = {}
    for key, listed in table.items():
        found[key] = choices_of(listed, f"{where}.{key}")
        for choice in found[key]:
            Recipe.from_table({key: choice}, where)
    return found


def _check_together(choices: Choices, where: str) -> None:
    """Raises `UserError` for a choice that makes a format with no others."""
    errors: dict[tuple[str, str], UserError] = {}
    right: set[tuple[str, str]] = set()
    for values in product(*choices.values()):
        chosen = dict(zip(choices, values, strict=True))
        named = [(key, repr(value)) for key, value in chosen.items()]
        try:
            parse_layer(settings(chosen, where), where)
            right.update(named)
        except UserError as error:
            for one in named:
                errors.setdefault(one, error)
    for one, error in errors.items():
        if one not in right:
            raise error


def settings(chosen: Mapping[str, Any], where: str) -> dict[str, Any]:
    """
    The settings of a layer that values, one of each list, make.

    Without those that the chosen name does not know. Raises `UserError` for a fraction
    of half a width that there is none of.
    """
    name = chosen.get("name", "integer")
    if name == ALONE:
        return {"name": ALONE}
    known = keys(NAMES[name], OPERANDS)
    found: dict[str, Any] = {}
    for key, value in chosen.items():
        if key in _CLASSIC and key not in known:
            continue
        if value == NOTHING and key.endswith(_FRACTION):
            width = chosen.get(f"{key.removesuffix(_FRACTION)}_width")
            if type(width) is not int:
                raise UserError(
                    f"{where}.{key} is 'NA', half the width, but "
                    f"{key.removesuffix(_FRACTION)}_width is {width!r}"
                )
            found[key] = width // 2
        elif value != NOTHING:
            found[key] = value
    return found


def _of_operands(
    config: Choices, ops: Sequence[Operation], where: str, *, quiet: bool
) -> Choices:
    """The choices for operands that some of `ops` have."""
    roles = {role_of(op, value) for op in ops for value in op.operands}
    found: dict[str, tuple[Any, ...]] = {}
    for key, values in config.items():
        role = next((r for r in ("weight", "bias") if key.startswith(r)), None)
        if role is None or role in roles:
            found[key] = values
        elif not quiet:
            warnings.warn(
                f"{where}.{key} has no effect: there is no {role}", stacklevel=2
            )
    return found
