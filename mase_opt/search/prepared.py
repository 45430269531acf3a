"""A search whose parts fit together."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mase_opt.lib.data.samples import as_samples, inputs_of
from mase_opt.lib.errors import UserError
from mase_opt.lib.quantization.subject import Subject
from mase_opt.lib.search.space import CALIBRATE, SPACES, Decision, Point
from mase_opt.lib.search.strategy import Problem
from mase_opt.search.config import Config
from mase_opt.search.data import CALIBRATION, hash_of, read_data
from mase_opt.search.measure import Bench
from mase_opt.search.objectives import Objectives
from mase_opt.search.runner import RunnerContext, Samples

if TYPE_CHECKING:
    from mase_opt.model.model import Model


class Prepared:
    """A search whose parts fit together; raises `UserError` if they don't."""

    def __init__(self, model: Model, config: Config):
        self.config = config
        self.calibration = config.data.get(CALIBRATION)
        self.model = self._calibrated(model)
        where = config.where
        function = self.model.function
        found = SPACES.find(config.space["name"], f"{where}: search_space.name")
        try:
            self.space = found(config.space, function)
            data = read_data(config.data, function)
            context = RunnerContext(self.model, data, config.setup.seed)
            self.bench = Bench(
                context,
                self.calibration,
                config.software,
                config.hardware,
                config.setup.threads,
            )
            self.runners = self.bench.runners()
            self.bench = replace(self.bench, modules=self._modules())
        except UserError as error:
            raise UserError(f"{where}: {error}") from error
        self._check_mode()
        self.objectives = Objectives.of(config, self.runners)
        parameters = self.space.parameters()
        sizes = [r.size for r in self.runners if r.size is not None]
        self.problem = Problem(
            parameters,
            self.objectives.directions,
            config.setup.seed,
            config.setup.n_trials,
            max(sizes, default=None),
        )
        try:
            self.strategy = config.strategy(config.options, self.problem)
        except UserError as error:
            raise UserError(f"{where}: strategy.{error}") from error

    @cached_property
    def fingerprint(self) -> dict[str, str]:
        """What trials are of: a study is of one such thing."""
        config = self.config
        metrics = {name: asdict(wanted) for name, wanted in config.metrics.items()}
        parameters = list(self.problem.parameters.items())
        data = dict(self.bench.context.data)
        if self.calibration is not None:
            inputs = inputs_of(self.model.function)
            data[CALIBRATION] = Samples(tuple(as_samples(self.calibration, inputs)))
        return {
            "model": text_hash(self.model.text),
            "space": text_hash([dict(config.space), parameters]),
            "encoding": text_hash(self.strategy.encoding.ordinal),
            "set of runners": text_hash([dict(config.software), dict(config.hardware)]),
            "set of data": hash_of(data),
            "set of metrics": text_hash([metrics, self.objectives.total]),
        }

    def decision(self, point: Point) -> Decision:
        """What a point means, with the data for what is calibrated again."""
        decision = self.space.decision(point)
        if not isinstance(self.calibration, str | Path):
            return decision
        data = {"data": str(self.calibration)}
        passes = [
            (name, {**data, **options} if name == CALIBRATE else options)
            for name, options in decision.passes
        ]
        return replace(decision, passes=tuple(passes))

    def _calibrated(self, model: Model) -> Model:
        subject = Subject(model.function)
        if subject.is_calibrated or not subject.needs_formats:
            return model
        return model.calibrate(self.calibration)

    def _modules(self) -> list[str]:
        """The modules of runners that worker processes would not know otherwise."""
        found: list[str] = []
        for runner in self.runners:
            module = type(runner).__module__
            if module == "__main__" and self.config.setup.n_jobs > 1:
                raise UserError(
                    f"runner '{runner.name}' is defined in the program itself, where "
                    "other processes do not find it: put it into a file of its own, or "
                    "set n_jobs = 1"
                )
            if not module.startswith("mase_opt") and module != "__main__":
                found.append(module)
        return found

    def _check_mode(self) -> None:
        mode, trains = self.config.eval_mode, any(r.trains for r in self.runners)
        if mode is not None and mode == trains:
            what = "trains" if trains else "trains: add one, such as sw_runner.training"
            raise UserError(
                f"{self.config.where}: strategy.eval_mode is {str(mode).lower()}, but "
                f"{'a' if trains else 'no'} runner {what}"
            )


def text_hash(value: Any) -> str:
    """The same text for the same value."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
