"""A recipe as the options of a pass."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mase_opt.lib.quantization.config import check_by
from mase_opt.lib.quantization.recipe import FormatOptions, Recipe


@dataclass(frozen=True)
class RecipeOptions(FormatOptions):
    """What passes take that decide on formats."""

    config: str | None = None
    """A TOML file whose table [passes.quantize] has options, and settings of layers."""
    by: str | None = None
    """What names layers in `config`, instead of its `by`: type, name, regex_name."""

    def recipe(self) -> Recipe | None:
        """The recipe that the options make; None if none is given but `complete`."""
        options = Recipe(**self.options)
        if self.by is not None:
            check_by(self.by, options.source)
        if self.config is None:
            given = self.options.keys() - {"complete"} or self.by is not None
            return options if given else None
        recipe = Recipe.load(self.config)
        return replace(recipe, **self.options, by=self.by or recipe.by)
