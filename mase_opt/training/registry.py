"""
Models and data sets by name: what `--info` lists, and what `@model` and `@dataset` add.

    from mase_opt.training import DatasetInfo, model

    @model("tiny")
    def tiny(info: DatasetInfo) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(info.features, info.num_classes))

Nothing here imports torch: builders do, when they are called.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast, get_args

from mase_opt.lib.errors import UserError
from mase_opt.lib.suggest import did_you_mean

if TYPE_CHECKING:
    from torch import nn

Task = Literal["classification", "language_modeling", "translation", "reconstruction"]
Family = Literal["vision", "nlp"]
Builder = TypeVar("Builder", bound=Callable[..., Any])

TASKS: Sequence[Task] = get_args(Task)


@dataclass(frozen=True)
class DatasetInfo:
    """What a model has to know of its data."""

    shape: tuple[int, ...]
    """Of one sample: `(channels, height, width)`, `(features,)`, `(tokens,)`."""
    num_classes: int | None = None
    """None: the targets are no classes."""
    task: Task = "classification"
    names: tuple[str, ...] = ()
    """What inputs are called in batches that are mappings; empty: `x, y` tuples."""
    vocabulary: int | None = None
    """How many different tokens there are; None: samples are numbers."""

    @property
    def features(self) -> int:
        """How many numbers a sample has."""
        return math.prod(self.shape)

    @property
    def image_size(self) -> tuple[int, ...] | None:
        """Channels, height and width of images; None for other data."""
        return self.shape if len(self.shape) == 3 else None


@dataclass(frozen=True)
class DataRequest:
    """What a data set's function is asked for."""

    folder: Path
    """Where data sets lie (`--data-dir`), each in a folder of its name."""
    model: str | None = None
    """The model that the data is for, whose tokenizer text needs."""
    max_token_len: int = 512
    """Length of token sequences; negative: what the tokenizer says."""
    seed: int = 0


@dataclass(frozen=True)
class Splits:
    """The parts of a data set, each a `torch.utils.data.Dataset` or `(x, y)` arrays."""

    train: Any
    val: Any = None
    """None: taken from `train` by `--val-percent`."""
    test: Any = None
    """None: taken from `train` by `--test-percent`."""
    pred: Any = None
    """Samples to predict for; None: those of `test`."""
    info: DatasetInfo | None = None
    """None: that of the registration, or what the first samples show."""
    collate: Callable[[Sequence[Any]], Any] | None = None
    """Samples to a batch; None: torch's way."""
    prepare: Callable[[Any, bool], Any] | None = None
    """What the model gets of a batch of arrays, and whether it is to be trained."""


@dataclass(frozen=True)
class ModelEntry:
    """A model by name."""

    name: str
    build: Callable[..., nn.Module]
    """Of the data set's info, `pretrained` and further arguments, as it has them."""
    family: Family = "vision"
    tasks: tuple[Task, ...] = ("classification",)
    needs: tuple[str, ...] = ()
    """Packages that it is built of."""
    summary: str = ""

    def __call__(
        self,
        info: DatasetInfo,
        *,
        pretrained: bool = False,
        arguments: Mapping[str, Any] | None = None,
    ) -> nn.Module:
        """
        A new module.

        Its weights are random, from torch's generator, or `pretrained`. Raises
        `UserError` for missing packages and for arguments that it does not have.
        """
        from torch import nn

        _check_packages(f"model '{self.name}'", self.needs)
        given = dict(arguments or {})
        if pretrained:
            if "pretrained" not in _parameters(self.build):
                raise UserError(
                    f"model '{self.name}' has no pretrained weights: leave "
                    "--pretrained out, or --load a checkpoint"
                )
            given["pretrained"] = True
        result = _call(f"model '{self.name}'", self.build, info, given)
        if not isinstance(result, nn.Module):
            raise UserError(
                f"model '{self.name}' is {type(result).__name__}, expected a "
                "torch.nn.Module"
            )
        return result


@dataclass(frozen=True)
class DatasetEntry:
    """A data set by name."""

    name: str
    load: Callable[..., Any]
    """`Splits`, or what `Splits.train` may be, of a `DataRequest`."""
    info: DatasetInfo | None = None
    """None: known once it is loaded."""
    needs: tuple[str, ...] = ()
    """Packages that it comes from."""
    summary: str = ""

    def __call__(
        self, request: DataRequest, arguments: Mapping[str, Any] | None = None
    ) -> Splits:
        """The data; raises `UserError` where it is absent or damaged."""
        where = f"data set '{self.name}'"
        _check_packages(where, self.needs)
        result = _call(where, self.load, request, dict(arguments or {}))
        return result if isinstance(result, Splits) else Splits(result)


@dataclass
class Table:
    """Entries by name, in the order of their registration."""

    kind: str
    entries: dict[str, Any] = field(default_factory=dict[str, Any])

    def add(self, entry: ModelEntry | DatasetEntry, function: Any) -> None:
        """Register; the same definition may come again when its file is reloaded."""
        key = entry.name.lower()
        taken = self.entries.get(key)
        if taken is not None and _place(taken) != _place(entry):
            raise UserError(
                f"{self.kind} '{entry.name}' is defined in {_place(taken)} and in "
                f"{_place(entry)}: rename one"
            )
        self.entries[key] = entry
        setattr(function, "mase_entry", entry)


MODELS = Table("model")
DATASETS = Table("dataset")


def model(
    name: str,
    *,
    family: Family = "vision",
    tasks: Iterable[Task] = ("classification",),
    needs: Iterable[str] = (),
) -> Callable[[Builder], Builder]:
    """
    Register what builds a model: a function, or a subclass of `nn.Module`.

    It is called with the `DatasetInfo`, if it takes an argument without a default, with
    `pretrained` if it has a parameter of this name, and with what the table `[model]`
    of a configuration says. The docstring's first line is its summary.
    """

    def register(build: Builder) -> Builder:
        entry = ModelEntry(
            name, build, family, tuple(tasks), tuple(needs), summary_of(build)
        )
        MODELS.add(entry, build)
        return build

    return register


def dataset(
    name: str, *, info: DatasetInfo | None = None, needs: Iterable[str] = ()
) -> Callable[[Builder], Builder]:
    """
    Register a function that loads a data set.

    It is called with a `DataRequest`, if it takes an argument without a default, and
    with what the table `[dataset]` of a configuration says. It returns `Splits`, or
    what `Splits.train` may be.
    """

    def register(load: Builder) -> Builder:
        DATASETS.add(
            DatasetEntry(name, load, info, tuple(needs), summary_of(load)), load
        )
        return load

    return register


def _call(where: str, function: Any, first: Any, arguments: dict[str, Any]) -> Any:
    """Call with what the function takes; raises `UserError` for what it does not."""
    parameters = _parameters(function)
    required = [
        p
        for p in parameters.values()
        if p.default is p.empty
        and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        for key in arguments:
            if key not in parameters:
                raise UserError(
                    f"{where} has no argument '{key}'{did_you_mean(key, parameters)}"
                )
    try:
        if required and required[0].name not in arguments:
            return function(first, **arguments)
        return function(**arguments)
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        if getattr(function, "__module__", "").startswith("mase_opt."):
            raise
        reason = f"{type(error).__name__}: {error}"
        raise UserError(f"{where} failed: {reason}") from error


def _parameters(function: Any) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):
        return {}


def _check_packages(where: str, needs: Sequence[str]) -> None:
    for package in needs:
        if find_spec(package) is None:
            raise UserError(
                f"{where} needs {package}: pip install 'mase-opt[models]' or {package}"
            )


def summary_of(function: Any) -> str:
    return (inspect.getdoc(function) or "").partition("\n")[0]


def _place(entry: ModelEntry | DatasetEntry) -> str:
    function = cast(Any, entry.build if isinstance(entry, ModelEntry) else entry.load)
    return inspect.getsourcefile(function) or function.__module__
