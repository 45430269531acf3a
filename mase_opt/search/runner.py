"""What is measured of a trial."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from mase_opt.lib.errors import UserError
from mase_opt.lib.search.registry import Registry
from mase_opt.lib.search.space import Decision, Point
from mase_opt.lib.search.strategy import Direction

if TYPE_CHECKING:
    from mase_opt.model.model import Model


@dataclass(frozen=True)
class Metric:
    """A number that a runner measures."""

    direction: Direction
    """Which way is better."""
    unit: str = ""


@dataclass(frozen=True)
class Samples:
    """Inputs, each `[samples, *shape]`, and labels, if they have any."""

    inputs: tuple[Any, ...]
    labels: Any | None = None

    def __len__(self) -> int:
        return len(self.inputs[0])

    def first(self, count: int | None) -> Samples:
        """The first `count` samples; None: all."""
        labels = None if self.labels is None else self.labels[:count]
        return Samples(tuple(a[:count] for a in self.inputs), labels)


@dataclass(frozen=True)
class RunnerContext:
    """What is the same for all trials."""

    model: Model
    """The calibrated model that every trial starts from."""
    data: Mapping[str, Samples]
    """Arrays by the names in `[search.data]`, such as `val` and `train`."""
    seed: int

    def samples(self, table: Mapping[str, Any], where: str) -> Samples:
        """
        What a runner's `data_loader` (`val`) and `num_samples` (all) say.

        `val_dataloader` is `val`. Raises `UserError` for data that is not there.
        """
        name = str(table.get("data_loader", "val")).removesuffix("_dataloader")
        if name not in self.data:
            raise UserError(
                f"{where}: there is no data '{name}' (data: "
                f"{', '.join(self.data) or 'none, name files in [search.data]'})"
            )
        found, count = self.data[name], table.get("num_samples")
        if count is not None and (type(count) is not int or count < 1):
            raise UserError(f"{where}: num_samples is {count!r}, expected at least 1")
        if count is not None and count > len(found):
            raise UserError(
                f"{where}: num_samples is {count}, but '{name}' has {len(found)}"
            )
        return found.first(count)


@dataclass(frozen=True)
class Trial:
    """What a runner measures."""

    number: int
    point: Point
    decision: Decision
    model: Model
    """After the decision's passes."""
    samples: int | None
    """How many samples to take at most; None: as many as the runner is set to."""
    masters: Callable[[], Model]
    """The model with constants in floating point behind casts, to be trained."""


class Runner(ABC):
    """Measures metrics of models; made once a process, for one search."""

    name: ClassVar[str]
    metrics: ClassVar[Mapping[str, Metric]]
    keys: ClassVar[tuple[str, ...]] = ()
    """What its table may hold."""
    trains: ClassVar[bool] = False
    """Whether it changes weights, which `eval_mode = true` forbids."""
    size: int | None = None
    """How many samples it takes, if it takes samples."""

    @abstractmethod
    def __init__(self, table: Mapping[str, Any], context: RunnerContext):
        """`table` is `[search.strategy.sw_runner.<name>]`; raises `UserError`."""

    def prepare(self, trial: Trial) -> Model:
        """The model that all runners measure: the trial's, unless this trains it."""
        return trial.model

    @abstractmethod
    def measure(self, trial: Trial) -> dict[str, float]:
        """The metrics of a trial; raises `UserError` if it has none."""


_HERE = "mase_opt.search.runners"
SOFTWARE: Registry[Runner] = Registry(
    "software runner",
    {
        "evaluation": f"{_HERE}.evaluation:Evaluation",
        "basic_evaluation": f"{_HERE}.evaluation:Evaluation",
        "training": f"{_HERE}.training:Training",
        "basic_train": f"{_HERE}.training:Training",
    },
)
"""`sw_runner`s; `SOFTWARE.add` is a decorator."""

HARDWARE: Registry[Runner] = Registry(
    "hardware runner",
    {
        "bits": f"{_HERE}.bits:Bits",
        "average_bitwidth": f"{_HERE}.bits:Bits",
        "operations": f"{_HERE}.operations:CountedOperations",
        "estimate": f"{_HERE}.estimate:EstimatedHardware",
        "yosys": f"{_HERE}.yosys:Synthesis",
    },
)
"""`hw_runner`s; `HARDWARE.add` is a decorator."""
