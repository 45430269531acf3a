"""
Passes from the command line: names and options checked, values converted.

Two spellings reach the same place: `-p "mase-quantize{width=6 by=type}"` (xDSL's
pipeline syntax) and `--quantize="width=6 by=type"`. Values in the second need no
inner quotes: `--calibrate="data=calib.npz"`.
"""

import contextlib
import dataclasses
import shlex
from collections.abc import Callable, Iterator, Mapping
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from xdsl.passes import ModulePass
from xdsl.utils.arg_spec import (
    ArgSpec,
    ParameterListType,
    ParameterType,
    parse_pipeline,
)
from xdsl.utils.exceptions import ArgSpecParseError
from xdsl.utils.hints import type_repr

from mase_opt.lib.errors import UserError
from mase_opt.lib.suggest import did_you_mean

PassFactories = Mapping[str, Callable[[], type[ModulePass]]]


def option_name(field: "dataclasses.Field[Any]") -> str:
    """An option as it is typed: `max_logic_depth` is `max-logic-depth`."""
    return field.name.replace("_", "-")


def option_fields(
    pass_class: type[ModulePass],
) -> dict[str, "dataclasses.Field[Any]"]:
    """The options of a pass, by the name that is typed."""
    return {
        option_name(field): field
        for field in dataclasses.fields(pass_class)
        if field.init and field.name != "name"
    }


def parse_flag_options(text: str) -> dict[str, ParameterListType]:
    """
    The options of a pass flag: `width=6 by=type formats=fixed<8,4>,mxint8`.

    Pairs are separated by spaces, values by commas outside brackets; quotes protect
    both. Raises `UserError` on unbalanced quotes or a missing name.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UserError(f"cannot read the options '{text}': {error}") from error
    options: dict[str, ParameterListType] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not name:
            raise UserError(f"cannot read the option '{word}': write name=value")
        if name in options:
            raise UserError(f"option '{name}' is given twice")
        options[name] = tuple(map(_literal, _split_values(value))) if equals else ()
    return options


def _split_values(text: str) -> Iterator[str]:
    """Split at the commas that are outside brackets."""
    depth = 0
    start = 0
    for position, character in enumerate(text):
        if character in "<([{":
            depth += 1
        elif character in ">)]}":
            depth -= 1
        elif character == "," and depth == 0:
            yield text[start:position]
            start = position + 1
    yield text[start:]


def _literal(text: str) -> ParameterType:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            value = kind(text)
        except ValueError:
            continue
        if str(value) == text:
            return value
    # `007` and `infinity` may be words; they become numbers where one is wanted.
    return text


def _alternatives(hint: Any) -> tuple[Any, ...]:
    """The members of a union; the type itself if it is none."""
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _convert_value(value: ParameterType, accepted: tuple[Any, ...]) -> ParameterType:
    """Widen what the text's shape decided too early: `1` for a float, `8` for a str."""
    if type(value) in accepted:
        return value
    if type(value) is int and float in accepted:
        return float(value)
    if str in accepted:
        return str(value).lower() if isinstance(value, bool) else str(value)
    if isinstance(value, str):
        for kind in (int, float):
            with contextlib.suppress(ValueError):
                if kind in accepted:
                    return kind(value)
    return value


def _convert(values: ParameterListType, hint: Any) -> ParameterListType:
    accepted = _alternatives(hint)
    if not values:
        # `flag` alone means true, as everywhere on command lines.
        return (True,) if bool in accepted else ()
    elements = tuple(
        member
        for alternative in accepted
        if get_origin(alternative) is tuple
        for argument in get_args(alternative)
        if argument is not Ellipsis
        for member in _alternatives(argument)
    )
    return tuple(_convert_value(value, accepted + elements) for value in values)


def build_pass(factories: PassFactories, spec: ArgSpec) -> ModulePass:
    """
    The pass that a specification describes.

    Raises `UserError` naming the nearest valid name for an unknown pass or option,
    and the type wanted for a wrong value.
    """
    if spec.name not in factories:
        raise UserError(
            f"unknown pass '{spec.name}'{did_you_mean(spec.name, factories)} "
            "(--list-passes shows all)"
        )
    pass_class = factories[spec.name]()
    fields = option_fields(pass_class)
    hints = get_type_hints(pass_class)
    converted: dict[str, ParameterListType] = {}
    for typed, values in spec.parameters.items():
        name = typed.replace("_", "-")
        if name not in fields:
            choice = f"options: {', '.join(fields)}" if fields else "it has no options"
            raise UserError(
                f"pass '{spec.name}' has no option '{typed}'"
                f"{did_you_mean(name, fields)} ({choice})"
            )
        if name in converted:
            raise UserError(f"pass '{spec.name}': option '{name}' is given twice")
        converted[name] = _convert(values, hints[fields[name].name])
        _check_value(spec.name, name, converted[name], hints[fields[name].name])
    for name in sorted(pass_class.required_fields() - {"name"}):
        if name.replace("_", "-") not in converted:
            raise UserError(
                f"pass '{spec.name}' needs the option '{name.replace('_', '-')}'"
            )
    try:
        return pass_class.from_spec(ArgSpec(spec.name, converted))
    except ValueError as error:
        # Raised by the pass's own checks (`__post_init__`).
        raise UserError(f"pass '{spec.name}': {error}") from error


def _check_value(
    pass_name: str, option: str, values: ParameterListType, hint: Any
) -> None:
    from xdsl.utils.hints import isa

    if not values:
        raise UserError(
            f"pass '{pass_name}': option '{option}' has no value: write {option}=…"
        )
    if (len(values) == 1 and isa(values[0], hint)) or isa(values, hint):
        return
    given = ",".join(map(str, values))
    wanted = [type_repr(a) for a in _alternatives(hint) if a is not NoneType]
    raise UserError(
        f"pass '{pass_name}': option '{option}' wants {' or '.join(wanted)}, "
        f"got {given}"
    )


def parse_pipeline_text(factories: PassFactories, text: str) -> list[ModulePass]:
    """The passes of a `-p` argument; raises `UserError`."""
    try:
        specs = list(parse_pipeline(text))
    except ArgSpecParseError as error:
        raise UserError(str(error)) from error
    return [build_pass(factories, spec) for spec in specs]
