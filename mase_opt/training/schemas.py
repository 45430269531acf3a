"""Tables of files as pydantic models, whose mistakes name the place of a key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from mase_opt.lib.errors import UserError
from mase_opt.lib.suggest import did_you_mean

_Model = TypeVar("_Model", bound=BaseModel)


class Strict(BaseModel):
    """A table that has no other keys than these."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def validated(schema: type[_Model], tree: Any, where: str, place: str = "") -> _Model:
    """
    What `tree` says, as `schema` has it; `place` is the key that `tree` stands under.

    Raises `UserError` that names the first key that is wrong.
    """
    try:
        return schema.model_validate(tree)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        steps = [*([place] if place else []), *first["loc"]]
        known = _keys(schema) if len(first["loc"]) == 1 else ()
        reason = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            reason = f"unknown key{did_you_mean(str(steps[-1]), known)}"
        elif first["type"] == "missing":
            reason = "missing"
        raise UserError(f"{where}: {key_path(steps)}: {reason}") from None


def _keys(schema: type[BaseModel]) -> Sequence[str]:
    return [field.alias or name for name, field in schema.model_fields.items()]


def key_path(steps: Sequence[int | str]) -> str:
    """`gen_cnn.layers[2].layer_type`"""
    text = ""
    for step in steps:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text.removeprefix(".")
