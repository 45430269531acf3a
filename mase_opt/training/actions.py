"""What `mase` does, as functions: each takes the options of `Config` as keywords."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Generator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from mase_opt.lib.atomic import atomic_file
from mase_opt.lib.data.samples import as_samples, inputs_of
from mase_opt.lib.errors import UserError
from mase_opt.lib.standard_output import stdout_to_stderr
from mase_opt.model.metrics import accuracy
from mase_opt.training.config import Config
from mase_opt.training.merge import Merged, merge, read_config
from mase_opt.training.pictures import losses_figure, losses_of, outputs_figure
from mase_opt.training.registry import ModelEntry, Splits
from mase_opt.training.run_folder import (
    BEST,
    LAST,
    RunFolder,
    earlier_folder,
    is_first_process,
    run_folder,
    write_text,
)
from mase_opt.training.torchvision_ops import declare_torchvision_ops

if TYPE_CHECKING:
    from torch import nn

    from mase_opt import Model
    from mase_opt.training.checkpoints import Subject
    from mase_opt.training.data.module import MaseDataModule
    from mase_opt.training.tables import EvaluationTable

Array = NDArray[Any]
PACKAGES = (
    *("torch", "lightning", "loguru", "pydantic", "tensorboard", "torchmetrics"),
)
CALIBRATION = 512
"""Samples of training data that formats are chosen from."""
CONTINUED = (
    "model",
    "dataset",
    "task",
    "seed",
    "plugins",
    "data_dir",
    "val_percent",
    "test_percent",
    "max_token_len",
    "model_args",
    "dataset_args",
    "loss",
    "adversarial",
)
"""What an action takes over from the one before if it is told no model."""


@dataclass(frozen=True)
class Outcome:
    """What an action has done."""

    folder: Path
    """The folder of the run."""
    metrics: Mapping[str, float] = field(default_factory=dict[str, float])
    """Numbers by name: `test_acc` and so on."""
    path: Path | None = None
    """The checkpoint, model or folder that was written."""

    def line(self) -> str:
        """The numbers in a line."""
        return ", ".join(f"{name} {value:.6g}" for name, value in self.metrics.items())


@dataclass(frozen=True)
class Session:
    """What all actions start from."""

    config: Config
    action: str
    folder: RunFolder
    data: MaseDataModule
    module: Any = None
    """The model, if it is not one by name."""

    @cached_property
    def entry(self) -> ModelEntry:
        """What builds the model."""
        from mase_opt.training.find import find_model

        assert self.config.model is not None
        if self.module is None:
            return find_model(self.config.model)
        return ModelEntry(self.config.model, lambda: self.module)

    def subject(self) -> Subject:
        """The model, with the weights that `--load` names."""
        from mase_opt.training.checkpoints import load_subject

        info = self.data.dataset_info
        return load_subject(self.config, self.action, self.entry, info)

    def samples(self, split: str, count: int | None) -> tuple[Any, Array]:
        """Inputs as `mase_opt.Model` takes them, and labels."""
        arrays = self.data.samples(split, count)
        labels = arrays.pop("labels")
        inputs = arrays if len(arrays) > 1 else next(iter(arrays.values()))
        return inputs, labels


Action = Callable[[Session], Outcome]


def run_action(
    action: str, merged: Merged, module: Any = None, splits: Splits | None = None
) -> Outcome:
    """
    Do what a configuration says; raises `UserError`.

    `module` and `splits` are the model and data that it only names.
    """
    merged = _continued(action, merged)
    config = merged.config
    if config.model is None or config.dataset is None:
        missing = [n for n in ("model", "dataset") if getattr(config, n) is None]
        raise UserError(
            f"{' and '.join(missing)} required: mase {action} MODEL DATASET, or in the "
            "file of --config"
        )
    with (
        run_folder(config, new=action == "train" and not config.resume) as folder,
        _working(config, folder),
    ):
        _tell_configuration(action, merged, folder)
        try:
            return ACTIONS[action](_session(action, config, folder, module, splits))
        except UserError as error:
            raise _without_worker(error) from error


def _without_worker(error: UserError) -> UserError:
    """A mistake that a process of the data loader has found, as if it was here."""
    said = str(error)
    mark = f"{UserError.__module__}.{UserError.__name__}: "
    if "DataLoader worker process" not in said or mark not in said:
        return error
    return UserError(said.rpartition(mark)[2].strip())


def _continued(action: str, merged: Merged) -> Merged:
    """With the model and data of the last action in the folder, if none are named."""
    config = merged.config
    named = config.model is not None or config.dataset is not None
    if named and (not config.resume or config.load_name is not None):
        return merged
    folder = earlier_folder(config)
    path = None
    if folder is not None:
        path = folder.latest_config("train" if config.resume else None)
    if folder is None or path is None:
        if config.resume:
            raise UserError("--resume: there is no earlier run of this --project")
        return merged
    usual = asdict(Config())
    kept = {
        name: value
        for name, value in read_config(str(path)).items()
        if (name in CONTINUED or config.resume) and value != usual[name]
    }
    if config.project is None:  # where `latest` has led to
        kept["project"] = folder.path.name
    loaded = folder.latest_model()
    if config.load_name is None and loaded is not None and action != "simulate":
        if not config.is_pretrained and not config.resume:
            kept["load_name"] = str(loaded)
    file = {**kept, **merged.file}
    return Merged(
        Config(**{**file, **merged.given}), file, merged.given, merged.path or str(path)
    )


@contextlib.contextmanager
def _working(config: Config, folder: RunFolder) -> Generator[None]:
    """Logs are written, and what libraries print goes to standard error."""
    _need_packages()
    declare_torchvision_ops()
    from mase_opt.training.fitting import quiet_lightning
    from mase_opt.training.logs import logging_to

    level = "debug" if config.to_debug else config.log_level
    with (
        contextlib.redirect_stdout(sys.stderr),
        stdout_to_stderr(),
        quiet_lightning(),
        logging_to(
            folder.software / "logs",
            folder.path.name,
            level if is_first_process() else "error",
        ),
    ):
        yield


def _need_packages() -> None:
    for package in PACKAGES:
        if find_spec(package) is None:
            raise UserError(
                f"mase needs {package}: pip install 'mase-opt[torch,train]'"
            )


def _tell_configuration(action: str, merged: Merged, folder: RunFolder) -> None:
    from loguru import logger

    logger.info(
        f"Running with the following configuration\n{merged.given_table().text()}"
    )
    logger.debug(f"all options\n{merged.table().text()}")
    logger.info(f"folder {folder.path}")
    if is_first_process():
        write_text(folder.written_config(action), merged.yaml())


def _session(
    action: str, config: Config, folder: RunFolder, module: Any, splits: Splits | None
) -> Session:
    import lightning

    from mase_opt.training.data.module import LoaderOptions, MaseDataModule

    _load_plugins(config)
    lightning.seed_everything(config.seed, workers=True, verbose=False)
    assert config.dataset is not None
    data = MaseDataModule(
        config.dataset if splits is None else splits,
        model_name=config.model,
        options=LoaderOptions(
            config.batch_size,
            config.batch_size_eval,
            config.num_workers,
            config.val_percent,
            config.test_percent,
            config.pin_memory,
            config.drop_last,
            config.shuffle_eval,
        ),
        folder=config.data_dir,
        max_token_len=config.max_token_len,
        seed=config.seed,
        arguments=config.dataset_args,
    )
    data.setup()
    _check_task(config, data)
    return Session(config, action, folder, data, module)


def _check_task(config: Config, data: MaseDataModule) -> None:
    # Samples of any kind can be reconstructed.
    wanted = data.dataset_info.task
    if config.task not in (wanted, "reconstruction"):
        raise UserError(
            f"data set '{config.dataset}' is for {wanted}, not {config.task}: --task "
            f"{wanted}"
        )


def _load_plugins(config: Config) -> None:
    from mase_opt.frontend.load_model import python_module

    for plugin in config.plugins:
        python_module(plugin)


def _wrapper(session: Session, subject: Subject) -> Any:
    from mase_opt.training.wrappers import Truncated, wrapper_for

    config = session.config
    if subject.ir is not None and config.trainer_precision != "32":
        raise UserError(
            "--trainer-precision is for float models: a transformed one computes in "
            "its formats"
        )
    made = Truncated
    if config.loss or config.adversarial:
        made = _generative(subject)
    elif config.tbtt_steps is None:
        made = wrapper_for(session.entry, config.task)
    return made(subject.module, config, session.data.dataset_info)


def _generative(subject: Subject) -> Any:
    from mase_opt.training.architecture.build import ArchitectureModel
    from mase_opt.training.generative import Generative

    if not isinstance(subject.module, ArchitectureModel):
        raise UserError(
            "tables [loss] and [adversarial] are for models by an architecture file"
        )
    return Generative


def _train(session: Session) -> Outcome:
    from loguru import logger

    from mase_opt.training import fitting
    from mase_opt.training.checkpoints import text_of

    config, folder = session.config, session.folder
    last = folder.checkpoints / LAST
    start = last if config.load_name is None else Path(config.load_name)
    if config.resume and not start.is_file():
        raise UserError(f"--resume: there is no {start}")
    subject = session.subject()
    wrapper = _wrapper(session, subject)
    if config.to_debug:
        return Outcome(folder.path, fitting.debug_stages(config, wrapper, session.data))
    extra: list[Any] = []
    if subject.ir is not None:
        extra.append(fitting.Transformed(text_of(subject.ir)))
    if is_first_process() and not config.resume:
        folder.set_aside()
    by_hand = not wrapper.automatic_optimization
    trainer = fitting.fitting_trainer(config, folder, extra, by_hand=by_hand)
    trainer.fit(
        wrapper,
        session.data,
        ckpt_path=str(start) if config.resume else None,
        weights_only=True,
    )
    trainer.save_checkpoint(last)
    best = cast(Any, trainer).checkpoint_callback.best_model_path
    if not best or config.stochastic_weight_avg:
        # Nothing was validated, or the average is what is wanted.
        best = str(folder.checkpoints / BEST)
        trainer.save_checkpoint(best)
    logger.info(f"best checkpoint: {best}")
    trainer.test(
        wrapper, session.data, ckpt_path=best, verbose=False, weights_only=True
    )
    return Outcome(folder.path, _metrics(trainer), Path(best))


def _metrics(trainer: Any) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in trainer.callback_metrics.items()
        if name.startswith("test_")
    }


def _test(session: Session) -> Outcome:
    from mase_opt.training.fitting import new_trainer

    config = session.config
    if config.load_name is None and not config.is_pretrained:
        raise UserError("test needs --load CHECKPOINT, or --pretrained")
    wrapper = _wrapper(session, session.subject())
    trainer = new_trainer(config, limit_test_batches=1 if config.to_debug else None)
    trainer.test(wrapper, session.data, verbose=False)
    import torch

    path = session.folder.results("test")
    scores = torch.cat(wrapper.outputs).numpy()
    _save_arrays(path, scores=scores, labels=torch.cat(wrapper.labels).numpy())
    if config.evaluation:
        params = _evaluation(config).save_params
        if params.save_correction:
            _save_picture(
                path.with_name(f"{params.save_filename}.png"), outputs_figure(scores)
            )
    return Outcome(session.folder.path, _metrics(trainer), path)


def _evaluation(config: Config) -> EvaluationTable:
    from mase_opt.training.schemas import validated
    from mase_opt.training.tables import EvaluationTable

    where = f"options of '{config.model}'"
    return validated(EvaluationTable, config.evaluation, where, "evaluation")


def _save_picture(path: Path, figure: Any) -> None:
    from mase_opt.lib.drawing import png

    with atomic_file(path) as stream:
        stream.buffer.write(png(figure))


def _step_of(checkpoint: Path) -> int:
    """At which step of a training a checkpoint was written."""
    from mase_opt.training.checkpoints import held_in

    step = held_in(checkpoint).get("global_step")
    if not isinstance(step, int):
        raise UserError(
            f"evaluation.checkpoints: '{checkpoint}' is no checkpoint of a training"
        )
    return step


def _plot(session: Session) -> Outcome:
    config, folder = session.config, session.folder
    table = _evaluation(config)
    if not table.saving_params.save_output:
        raise UserError(
            "evaluation.saving_params.save_output is false: plot does nothing but save "
            "a picture"
        )
    checkpoints = Path(table.checkpoint_dir or folder.checkpoints)
    marks: dict[str, int] = {}
    for name in table.checkpoints:
        path = checkpoints / name
        if not path.is_file():
            raise UserError(f"evaluation.checkpoints: there is no '{path}'")
        marks[path.stem] = _step_of(path)
    losses = losses_of(checkpoints / "csv_logs")
    window = table.preprocessing_params.loss_average_window
    figure = losses_figure(losses, window, marks)
    path = folder.software / "plot" / f"{table.saving_params.filename}.png"
    _save_picture(path, figure)
    return Outcome(folder.path, path=path)


def _trace(session: Session) -> Outcome:
    import torch

    from mase_opt.training.tracing import input_of_size, write_traces

    config = session.config
    subject = session.subject()
    if config.input_size is None:
        batch = torch.as_tensor(session.data.samples("test", 1)["x"])
    else:
        batch = input_of_size(config.input_size, config.seed)
    stem = Path(config.load_name).stem if config.load_name else subject_name(config)
    path = session.folder.software / "trace" / stem.replace(".", "_")
    written = write_traces(subject.module, batch, path, save_input=config.save_input)
    return Outcome(session.folder.path, path=written)


def subject_name(config: Config) -> str:
    """What a model is called in IR and in names of files."""
    name = str(config.model)
    if name.endswith((".yaml", ".yml")):
        return Path(name).stem
    return name.rpartition(":")[2]


def _save_arrays(path: Path, **arrays: Array) -> None:
    # In memory first: a zip archive is written with seeks.
    archive = BytesIO()
    np.savez(archive, allow_pickle=False, **arrays)
    with atomic_file(path) as stream:
        stream.buffer.write(archive.getvalue())


def _transform(session: Session) -> Outcome:
    from mase_opt.training.checkpoints import save_transformed

    config = session.config
    if not config.passes:
        raise UserError(
            "transform needs passes: name a file with tables [passes.NAME] by --config"
        )
    model = _transformed(session, session.subject())
    path = session.folder.transformed
    save_transformed(model, path)
    return Outcome(session.folder.path, path=path)


def _transformed(session: Session, subject: Subject) -> Model:
    """The model after the passes of the configuration, in their order."""
    from loguru import logger

    from mase_opt.driver.run_file import run_of
    from mase_opt.registry import load_universe

    config = session.config
    if config.load_name is None and not config.is_pretrained:
        logger.warning("the model's weights are random: --load names others")
    known = load_universe(config.plugins).all_passes
    run = run_of({"passes": config.passes}, "passes", known)
    model = _model(session, subject)
    calibrated = subject.ir is not None
    for name, options in run.passes:
        given = {
            key.replace("-", "_"): values[0] if len(values) == 1 else list(values)
            for key, values in options.items()
        }
        logger.info(f"pass {name}")
        if name == "mase-calibrate" and "data" not in given:
            model, calibrated = _calibrated(session, model, **given), True
            continue
        if name == "mase-quantize":
            if not calibrated:
                model, calibrated = _calibrated(session, model), True
            # What is quantized can be trained on.
            given.setdefault("masters", True)
        calibrated |= name == "mase-calibrate"
        model = model.apply(name, **given)
    return model


def _model(session: Session, subject: Subject) -> Model:
    """The model as IR."""
    import torch

    import mase_opt

    if subject.ir is not None:
        return subject.ir
    data = session.data
    inputs = data.samples("train", 1)
    inputs.pop("labels")
    example = {name: torch.as_tensor(array) for name, array in inputs.items()}
    # Of `x, y` batches, the one tensor is the only argument, whatever its name.
    named = example if data.dataset_info.names else tuple(example.values())
    return mase_opt.import_torch(subject.module, named, subject_name(session.config))


def _calibrated(session: Session, model: Model, **options: Any) -> Model:
    count = options.pop("samples", None) or session.config.samples or CALIBRATION
    inputs, _ = session.samples("train", count)
    return model.calibrate(inputs, **options)


def _emit(session: Session) -> Outcome:
    from loguru import logger

    from mase_opt.driver.run_file import run_of

    config, folder = session.config, session.folder
    run = run_of({"emit": config.emit}, "emit", {})
    chosen = dict(run.emit or {})
    subject = session.subject()
    if config.passes:
        model = _transformed(session, subject)
    else:
        model = _model(session, subject)
    if not model.is_quantized:
        logger.info("the model is in floating point: 8-bit fixed point")
        model = _calibrated(session, model).quantize()
    vectors = chosen.pop("verify-rtl", 64)
    verify = 0 if config.github_ci else vectors
    output = Path(chosen.pop("output", folder.hardware))
    folder.emitted.parent.mkdir(exist_ok=True)
    model.save(folder.emitted)
    result = model.emit(output, verify=verify, **chosen)
    target = {"target": config.target, "num_targets": config.num_targets}
    write_text(output / "target.json", json.dumps(target, indent=2) + "\n")
    logger.info(f"{result.report.text(80)}{result.summary}")
    return Outcome(folder.path, {"latency": result.latency}, output)


def _simulate(session: Session) -> Outcome:
    import mase_opt

    config, folder = session.config, session.folder
    if config.load_name is not None:
        raise UserError("simulate runs what emit has written: leave --load out")
    if not folder.emitted.is_file():
        raise UserError(f"there is no circuit in '{folder.path}': mase emit first")
    output = Path(config.emit.get("output", folder.hardware))
    circuit = mase_opt.load(output, plugins=config.plugins)
    model = mase_opt.load(folder.emitted, plugins=config.plugins)
    inputs, labels = session.samples("test", config.samples)
    samples = as_samples(inputs, inputs_of(model.function))
    level = mase_opt.Level(config.level)
    wanted = model.results(mase_opt.Level.QUANTIZED, samples)
    codes = circuit.results(level, samples)
    agree = np.ones(len(labels), bool)
    for mine, theirs in zip(codes, wanted, strict=True):
        agree &= (mine == theirs).reshape(len(labels), -1).all(axis=1)
    scores = circuit.numbers(level, codes)[0].reshape(len(labels), -1)
    path = folder.results("simulate")
    _save_arrays(path, scores=scores, labels=labels)
    if not agree.all():
        raise UserError(
            f"{int((~agree).sum())} of {len(agree)} samples have other codes in the "
            f"circuit than in the model, the first is {int(agree.argmin())}"
        )
    metrics = {"samples": float(len(agree))}
    if session.data.dataset_info.num_classes and config.task == "classification":
        metrics["simulated_acc"] = accuracy(scores, labels)
    return Outcome(folder.path, metrics, path)


def _search(session: Session) -> Outcome:
    from loguru import logger

    from mase_opt.training.checkpoints import save_transformed

    config = session.config
    if not config.search:
        raise UserError(
            "search needs a search space: name a file with the table [search] by "
            "--config"
        )
    model = _model(session, session.subject())
    calibration, _ = session.samples("train", config.samples or CALIBRATION)
    data = {"calibration": calibration, "val": session.samples("val", None)}
    output = session.folder.search
    study = model.search(config.search, data=data, output=output)
    best = study.best
    logger.info(f"best trial: {best.number}\n{study!r}")
    path = session.folder.searched
    save_transformed(study.build(best), path)
    return Outcome(session.folder.path, best.values, path)


ACTIONS: Mapping[str, Action] = {
    "train": _train,
    "test": _test,
    "transform": _transform,
    "search": _search,
    "emit": _emit,
    "simulate": _simulate,
    "trace": _trace,
    "plot": _plot,
}


def _function(action: str) -> Callable[..., Outcome]:
    def run(
        model: str | nn.Module | None = None,
        dataset: str | Splits | None = None,
        *,
        config: str | Path | None = None,
        **options: Any,
    ) -> Outcome:
        given = dict(options)
        if model is not None:
            given["model"] = model if isinstance(model, str) else type(model).__name__
        if dataset is not None:
            given["dataset"] = dataset if isinstance(dataset, str) else "data"
        return run_action(
            action,
            merge(given, None if config is None else str(config)),
            None if isinstance(model, str) else model,
            None if isinstance(dataset, str) else dataset,
        )

    run.__name__ = run.__qualname__ = action
    run.__doc__ = f"`mase {action}`, whose options are those of `Config`."
    return run


train = _function("train")
test = _function("test")
transform = _function("transform")
search = _function("search")
emit = _function("emit")
simulate = _function("simulate")
trace = _function("trace")
plot = _function("plot")
