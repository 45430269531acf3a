"""Documentation of passes, read from docstrings: `--list-passes`, generated pages."""

import ast
import dataclasses
import inspect
import textwrap
from dataclasses import dataclass
from itertools import pairwise
from typing import cast, get_type_hints

from xdsl.passes import ModulePass
from xdsl.utils.hints import type_repr

from mase_opt.pass_options import option_fields


@dataclass(frozen=True)
class OptionDoc:
    """One option of a pass."""

    name: str
    type: str
    default: str | None
    """None: the option must be given."""
    text: str


@dataclass(frozen=True)
class PassDoc:
    """What is known about a pass."""

    name: str
    summary: str
    """First paragraph of the docstring."""
    description: str
    """The rest of it."""
    options: tuple[OptionDoc, ...]


def short_flag(pass_name: str) -> str:
    """The flag that is shown for a pass: `mase-quantize` is `--quantize`."""
    return f"--{pass_name.removeprefix('mase-')}"


def describe_pass(pass_class: type[ModulePass]) -> PassDoc:
    """Name, summary, description and options of a pass."""
    # `inspect.getdoc` would answer with the base class's text.
    doc = inspect.cleandoc(pass_class.__dict__.get("__doc__") or "")
    if doc.startswith(f"{pass_class.__name__}("):
        doc = ""  # made up by `dataclass`
    summary, _, description = doc.partition("\n\n")
    texts = field_docstrings(pass_class)
    hints = get_type_hints(pass_class)
    options = tuple(
        OptionDoc(
            name,
            type_repr(hints[field.name]),
            _default(field),
            texts.get(field.name, ""),
        )
        for name, field in option_fields(pass_class).items()
    )
    return PassDoc(
        pass_class.name, " ".join(summary.split()), description.strip(), options
    )


def _default(field: "dataclasses.Field[object]") -> str | None:
    value = field.default
    if field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
    match value:
        case dataclasses.MISSING:
            return None
        case bool():
            return str(value).lower()
        case None:
            return "unset"
        case tuple():
            return ",".join(map(str, cast("tuple[object, ...]", value))) or "empty"
        case _:
            return str(value) or '""'


def field_docstrings(cls: type) -> dict[str, str]:
    """
    The string under each field of a class and its bases.

    Python drops these strings, so they are read from the source; a class without
    source (made by `exec`) has none.
    """
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if base.__module__.partition(".")[0] in ("builtins", "abc", "xdsl"):
            continue
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(base)))
        except (OSError, TypeError):
            continue
        body = next(n for n in tree.body if isinstance(n, ast.ClassDef)).body
        for field, text in pairwise(body):
            match field, text:
                case (
                    ast.AnnAssign(target=ast.Name(id=name))
                    | ast.Assign(targets=[ast.Name(id=name)]),
                    ast.Expr(value=ast.Constant(value=str(doc))),
                ):
                    found[name] = inspect.cleandoc(doc)
                case _:
                    continue
    return found


def render_pass_list(docs: list[PassDoc], width: int | None = None) -> str:
    """The text of `--list-passes`, in lines of at most `width` characters."""
    lines: list[str] = []
    for doc in docs:
        lines += [f"{doc.name}  ({short_flag(doc.name)})", f"    {doc.summary}"]
        for option in doc.options:
            default = "required" if option.default is None else option.default
            text = " ".join(option.text.split())
            lines.append(f"    {option.name}: {option.type} [{default}]  {text}")
    if width is not None:
        folded = [
            textwrap.wrap(
                line, width, subsequent_indent=" " * 8, break_on_hyphens=False
            )
            for line in lines
        ]
        lines = [line for part in folded for line in part]
    return "\n".join(lines) + "\n"
