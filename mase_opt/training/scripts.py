"""
Command lines of a user's own training script.

    parser = argparse.ArgumentParser()
    parser.add_argument("--hidden", dest="model.hidden", type=int, default=100)
    config = parse_config(make_cli_parser(parser))
    train(Net(config.model.hidden), splits, **options_of(config))
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from mase_opt.training.command_line import add_option
from mase_opt.training.config import options
from mase_opt.training.merge import read_tree

if TYPE_CHECKING:
    from omegaconf import DictConfig

_UNSET = object()


def make_cli_parser(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """
    Add `--config` and all options of training under their places, `optim.lr` and so on.

    Defaults are those for scripts: `--lr` 1e-3, `--batch-size` 32, 100 epochs, and
    early stopping after 3 without a lower validation loss.
    """
    parser.add_argument("--config", metavar="FILE", help="options from a file")
    groups: dict[str, Any] = {}
    for option in options().values():
        title = option.group.title
        if "train" not in option.group.actions:
            continue
        if title not in groups:
            groups[title] = parser.add_argument_group(title)
        add_option(groups[title], option, dest=option.key, default=option.script)
    return parser


def parse_config(
    parser: argparse.ArgumentParser, args: Sequence[str] | None = None
) -> DictConfig:
    """
    What the command line says, over the file of `--config`, over the defaults.

    Dots in names make a hierarchy: `config.optim.lr`. Keys of the file that the parser
    does not know are kept. `args` is the command line, that of the program if None.
    Raises `UserError` for files that cannot be read.
    """
    from omegaconf import OmegaConf

    defaults = vars(parser.parse_args([]))
    preset = {
        # Flags that collect values begin with what is there.
        name: None if isinstance(value, list | tuple | None) else _UNSET
        for name, value in defaults.items()
    }
    namespace = parser.parse_args(args, argparse.Namespace(**preset))
    given = {k: v for k, v in vars(namespace).items() if v is not preset[k]}
    path = given.pop("config", defaults.pop("config"))
    tree = {} if path is None else read_tree(path)
    merged = OmegaConf.merge(_nested(defaults), OmegaConf.create(tree), _nested(given))
    return cast("DictConfig", merged)


def _nested(values: dict[str, Any]) -> DictConfig:
    from omegaconf import OmegaConf

    config = OmegaConf.create({})
    for key, value in values.items():
        is_tuple = isinstance(value, tuple)
        OmegaConf.update(config, key, list(cast(Any, value)) if is_tuple else value)
    return config


def options_of(config: DictConfig) -> dict[str, Any]:
    """The options of a script's configuration by name, as `train` takes them."""
    from omegaconf import OmegaConf

    found: dict[str, Any] = {}
    for option in options().values():
        value = OmegaConf.select(config, option.key, default=_UNSET)
        if value is not _UNSET:
            found[option.name] = (
                OmegaConf.to_object(value) if OmegaConf.is_config(value) else value
            )
    return found
