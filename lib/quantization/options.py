"""A recipe as the options of a pass."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mase_opt.lib.errors import UserError
from mase_opt.lib.quantization.config import check_by
from mase_opt.lib.quantization.recipe import FormatOptions, Recipe, toml


@dataclass(frozen=True)
class RecipeOptions(FormatOptions):
    """What passes take that decide on formats."""

    config: str | None = None
    """A TOML file whose table [passes.quantize] has options, and settings of layers."""
    by: str | None = None
    """What names layers, instead of `config`'s `by`: type, name, regex_name."""
    layers: str | None = None
    """Settings of layers, {fc = {weight = "fixed<4, auto>"}}, instead of `config`'s."""

    def recipe(self) -> Recipe | None:
        """The recipe that the options make; None if none is given but `complete`."""
        recipe = Recipe(**self.options)
        if self.by is not None:
            check_by(self.by, recipe.source)
        others = (self.by, self.layers, self.config)
        if not self.options.keys() - {"complete"} and others == (None, None, None):
            return None
        if self.config is not None:
            recipe = replace(Recipe.load(self.config), **self.options)
        if self.layers is not None:
            recipe = replace(recipe, layers=parse_layers(self.layers))
        return replace(recipe, by=self.by or recipe.by)


def parse_layers(text: str) -> dict[str, Any]:
    """An inline table of TOML; raises `UserError`."""
    try:
        layers = tomllib.loads(f"layers = {text}")
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"options: layers is no table of TOML: {error}") from error
    return layers["layers"]


def layers_text(layers: Mapping[str, Mapping[str, Any]]) -> str:
    """The text that `parse_layers` reads."""

    def table(items: Mapping[str, Any], show: Callable[[Any], str]) -> str:
        return f"{{{', '.join(f'{toml(k)} = {show(v)}' for k, v in items.items())}}}"

    return table(layers, lambda settings: table(settings, toml))
