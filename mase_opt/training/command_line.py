"""The command line of `mase`: one table of options, in groups, for all actions."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, cast

from mase_opt.lib.errors import UserError
from mase_opt.lib.suggest import did_you_mean
from mase_opt.training.config import ACTIONS, ALIASES, Option, options
from mase_opt.training.merge import Merged, merge, read_tree

SPELLINGS = {
    "-t": "--config",
    "--training-cfg": "--config",
    "-e": "--evaluation-cfg",
    "-te": "--evaluation-cfg",
    "--training-evaluation-cfg": "--evaluation-cfg",
    "-c": "--load",
    "--checkpoint": "--load",
    "-i": "--input-size",
    "-si": "--save-input",
}
"""Other spellings of flags, as scripts for architectures have had them."""
TYPES = ("all", "model", "dataset")
"""What `--info` lists."""
_SUMMARIES = {
    "train": "train a model, or a transformed one on in its formats",
    "test": "accuracy and loss of a checkpoint (also: eval)",
    "transform": "run the passes of --config: quantize, prune, ...",
    "search": "search for formats, as [search] of --config says",
    "emit": "SystemVerilog of a model, into hardware/ of its folder",
    "simulate": "run that on test data, and compare each code",
    "trace": "TorchScript and .pt2 of a model, with a raw input",
    "plot": "the losses of a training, as a picture",
}
_EXAMPLES = """examples:
  mase train digits-mlp digits --lr 5e-3 --max-epochs 30 --project demo
  mase test --project demo
  mase transform --project demo --config quantize.toml
  mase emit --project demo
  mase simulate --project demo

An action that is told no model goes on with what the last one left in the
folder of --project, or of the last run. Files have the same options by name
(TOML, YAML); the command line goes before a file, a file before defaults."""


@dataclass(frozen=True)
class Command:
    """What a command line asks for."""

    action: str
    merged: Merged


class _Parser(argparse.ArgumentParser):
    """argparse whose errors are `UserError`s."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message} (see --help)")


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Flags of an option side by side, its value once."""

    def __init__(self, prog: str):
        super().__init__(prog, max_help_position=30)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        flags = [f for f in action.option_strings if not f.startswith("--no-")]
        value = "" if action.nargs == 0 else f" {action.metavar}"
        return ", ".join(flags) + value


def parse(args: Sequence[str]) -> Command:
    """
    The configuration of a command line without `--help` and the like.

    Raises `UserError`.
    """
    parser = _parser()
    namespace, unknown = parser.parse_known_intermixed_args(list(_spelled(args)))
    given = vars(namespace)
    words: list[str] = given.pop("words", [])
    for argument in unknown:
        if argument.startswith("-"):
            flag = argument.partition("=")[0]
            near = did_you_mean(flag, _flags(options().values()))
            raise UserError(f"unknown option '{flag}'{near} (see --help)")
        words.append(argument)
    if not words:
        raise UserError(f"no action: name one of {', '.join(ACTIONS)} (see --help)")
    action = ALIASES.get(words[0], words[0])
    if action not in ACTIONS:
        names = (*ACTIONS, *ALIASES)
        raise UserError(
            f"unknown action '{words[0]}', expected one of {', '.join(ACTIONS)}"
            f"{did_you_mean(words[0], names)}"
        )
    if len(words) > 3:
        raise UserError(f"'{words[3]}' is one name too many: ACTION MODEL DATASET")
    given |= dict(zip(("model", "dataset"), words[1:], strict=False))
    for name in ("plugins", "tags"):
        if name in given:
            given[name] = tuple(given[name])
    path = given.pop("config", None)
    if (evaluation := given.pop("evaluation_cfg", None)) is not None:
        given = _evaluation(evaluation) | given
    return Command(
        action, merge(given, path, {n: o.flags[0] for n, o in options().items()})
    )


def _evaluation(path: str) -> dict[str, Any]:
    """The options that a file with the table [evaluation] alone stands for."""
    tree = read_tree(path)
    table = tree.pop("evaluation", None)
    if tree or not isinstance(table, Mapping):
        raise UserError(
            f"config '{path}': expected the table evaluation alone, found "
            f"{', '.join(tree) or 'none'}"
        )
    given: dict[str, Any] = {"evaluation": dict(cast("Mapping[str, Any]", table))}
    checkpoint = given["evaluation"].get("model_checkpoint_filename")
    return given if checkpoint is None else given | {"load_name": checkpoint}


def info_type(args: Sequence[str]) -> str | None:
    """What `--info` asks for, `all` by itself; raises `UserError` for other types."""
    for argument, following in zip(args, [*args[1:], "all"], strict=True):
        flag, equals, value = argument.partition("=")
        if flag == "--info":
            kind = value if equals else following
            if kind not in TYPES:
                raise UserError(
                    f"--info is '{kind}', expected one of {', '.join(TYPES)}"
                    f"{did_you_mean(kind, TYPES)}"
                )
            return kind
    return None


def help_text(action: str | None) -> str:
    """All options with their defaults, or those of an action."""
    return _parser(action).format_help()


def _parser(action: str | None = None) -> argparse.ArgumentParser:
    actions = "\n".join(f"  {name:10} {text}" for name, text in _SUMMARIES.items())
    parser = _Parser(
        prog="mase",
        usage=f"mase {action or 'ACTION'} [MODEL] [DATASET] [options]",
        description=f"mase {action}: {_SUMMARIES[action]}."
        if action
        else "Train models, and bring them to hardware.\n\nactions (mase ACTION --help "
        f"shows the options of one):\n{actions}",
        epilog=_EXAMPLES,
        formatter_class=_Formatter,
        add_help=False,
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("words", nargs="*", help=argparse.SUPPRESS)
    general = parser.add_argument_group("general")
    general.add_argument("--config", metavar="FILE", help="options from a file")
    if action in (None, "test", "plot"):
        general.add_argument(
            "--evaluation-cfg",
            metavar="FILE",
            help="the table [evaluation] from a file",
        )
    general.add_argument(
        "--info",
        metavar="TYPE",
        help="list models and data sets (all, model or dataset), and exit",
    )
    general.add_argument(
        "-V", "--version", action="store_true", help="print the version, and exit"
    )
    general.add_argument(
        "-h", "-v", "--help", action="store_true", help="print this, and exit"
    )
    groups: dict[str, Any] = {}
    for option in options().values():
        group = option.group
        if action is not None and action not in group.actions:
            continue
        if group.title not in groups:
            groups[group.title] = parser.add_argument_group(group.title)
        add_option(groups[group.title], option, dest=option.name)
    return parser


def add_option(group: Any, option: Option, *, dest: str, **more: Any) -> None:
    """Add the flags of an option to a parser or a group."""
    shown = more.get("default", option.default)
    text = option.text.replace("%", "%%")
    if len(option.choices) > _SIDE_BY_SIDE:
        text += f" One of {', '.join(option.choices)}."
    if not (shown is None or shown is False or shown == ()):
        text = f"{text.removesuffix('.')} [{shown}]."
    common = {"dest": dest, "help": text, **more}
    if option.kind is bool:
        group.add_argument(
            *option.flags, action=argparse.BooleanOptionalAction, **common
        )
        return
    common["metavar"] = _metavar(option)
    if option.kind is tuple:
        common["action"] = "append"
    elif option.kind in _KINDS:
        common["type"] = _number(option.kind)
    group.add_argument(*option.flags, **common)


def _metavar(option: Option) -> str:
    if len(option.choices) > _SIDE_BY_SIDE:
        return "TYPE"
    if option.choices:
        return f"{{{','.join(option.choices)}}}"
    if option.kind is tuple:
        return "NAME"
    return {int: "N", float: "X"}.get(option.kind, "NAME")


_SIDE_BY_SIDE = 5
"""Choices at most that stand behind a flag."""
_KINDS = {int: "a whole number", float: "a number"}


def _number(kind: type) -> Any:
    def convert(text: str) -> Any:
        try:
            return kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(
                f"'{text}' is not {_KINDS[kind]}"
            ) from None

    return convert


def _flags(table: Iterable[Option]) -> list[str]:
    return ["--config", "--info", *(flag for o in table for flag in o.flags)]


def _spelled(args: Sequence[str]) -> Iterator[str]:
    """Flags as the table has them, and with the value that they have without one."""
    bare = {flag: o for o in options().values() if o.bare for flag in o.flags}
    left = [*args]
    while left:
        argument = left.pop(0)
        flag, equals, value = argument.partition("=")
        if flag.startswith("--"):
            flag = flag.replace("_", "-")
        flag = SPELLINGS.get(flag, flag)
        option = bare.get(flag)
        if (
            option is not None
            and not equals
            and left[:1] not in ([choice] for choice in option.choices)
        ):
            equals, value = "=", str(option.bare)
        if flag == "--input-size" and not equals:
            sizes: list[str] = []
            while left and left[0].isdecimal():
                sizes.append(left.pop(0))
            if sizes:
                equals, value = "=", "x".join(sizes)
        yield f"{flag}{equals}{value}"
