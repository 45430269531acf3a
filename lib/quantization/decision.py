"""The recipe that a function carries, and for whom it has been used."""

from __future__ import annotations

from xdsl.dialects.builtin import DictionaryAttr, StringAttr
from xdsl.dialects.func import FuncOp

from mase_opt.lib.errors import UserError
from mase_opt.lib.quantization.recipe import Recipe

RECIPE = "mase.recipe"
"""The attribute of a function whose formats are decided on."""
PREPARED = "mase.prepared"
"""The attribute of a function whose parameters are prepared for its recipe."""


def recipe_of(function: FuncOp) -> Recipe | None:
    """The recipe that `function` carries."""
    attribute = function.attributes.get(RECIPE)
    return None if attribute is None else Recipe.from_attribute(attribute)


def decide(function: FuncOp, recipe: Recipe) -> None:
    """
    Let `function` carry `recipe`.

    Raises `UserError` if its parameters are prepared for another one.
    """
    check_prepared(function, recipe, "options")
    function.attributes[RECIPE] = recipe.to_attribute()


def check_prepared(function: FuncOp, recipe: Recipe, whose: str) -> None:
    """Raises `UserError` if the parameters are prepared for another recipe."""
    decided, marks = recipe_of(function), _marks(function)
    if decided is None or marks is None:
        return
    if (difference := recipe.difference(decided)) is not None:
        name, mine, theirs = difference
        raise UserError(
            f"{whose}: {name} is '{mine}', but {marks['pass']} has prepared the "
            f"weights for '{theirs}'; put mase-set-recipe before both"
        )


def chosen(function: FuncOp, given: Recipe | None) -> Recipe:
    """
    The recipe for `function`: what it carries, else what is given, else the usual one.

    Raises `UserError` if both are there and differ.
    """
    decided = recipe_of(function)
    if decided is None or given is None:
        return decided or given or Recipe()
    check_prepared(function, given, given.source)
    if (difference := given.difference(decided)) is not None:
        name, mine, theirs = difference
        raise UserError(
            f"{given.source}: {name} is '{mine}', but '{theirs}' is decided on already "
            "(mase.recipe); leave it out, or change what mase-set-recipe is given"
        )
    return decided


def mark_prepared(function: FuncOp, name: str, data: str | None) -> None:
    """Keep that the pass `name` has prepared the parameters, with `data`."""
    marks = {"pass": name} | ({} if data is None else {"data": data})
    function.attributes[PREPARED] = DictionaryAttr(
        {key: StringAttr(text) for key, text in marks.items()}
    )


def forget_prepared(function: FuncOp) -> None:
    """The parameters are used: remove what `mark_prepared` has kept."""
    function.attributes.pop(PREPARED, None)


def prepared_with(function: FuncOp) -> str | None:
    """The data that a pass before `mase-quantize` has calibrated `function` with."""
    return (_marks(function) or {}).get("data")


def _marks(function: FuncOp) -> dict[str, str] | None:
    """What `mark_prepared` has kept; None if it was not called."""
    marks = function.attributes.get(PREPARED)
    if not isinstance(marks, DictionaryAttr):
        return None
    return {k: v.data for k, v in marks.data.items() if isinstance(v, StringAttr)}
