"""
The options of `mase`: one table for flags, files, scripts and Python's keywords.

Each field of `Config` is an option, its text the string below it. It has a name, under
which files at the top level and Python know it, flags, and a place in nested files and
in scripts (`optim.lr`).
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from mase_opt.driver.pass_docs import field_docstrings
from mase_opt.lib.errors import UserError
from mase_opt.lib.suggest import did_you_mean

ACTIONS = (
    *("train", "test", "transform", "search", "emit", "simulate"),
    *("trace", "plot"),
)
ALIASES = {"eval": "test"}
"""Other names of actions."""

TABLES = (
    *("passes", "search", "emit"),
    *("loss", "adversarial", "saving", "evaluation"),
)
"""What files have beside options: settings of the compiler, and of architectures."""
ARGUMENTS = {"model": "model_args", "dataset": "dataset_args"}
"""Tables with a name and the arguments of what it names."""
_LONG = {"cls": "classification", "tran": "translation", "lm": "language_modeling"}


@dataclass(frozen=True)
class Group:
    """Options that stand together in `--help`."""

    title: str
    actions: tuple[str, ...]
    """Those that have them."""


@dataclass(frozen=True)
class Option:
    """How an option is given."""

    name: str
    flags: tuple[str, ...]
    """The first one is shown first."""
    key: str
    """Its place in nested files and in scripts."""
    group: Group
    kind: Any
    """`str`, `int`, `float`, `bool`, or `tuple` of texts."""
    choices: tuple[str, ...]
    default: Any
    script: Any
    """The default in scripts, which train from the start more often."""
    at_least: float | None
    below: float | None
    """Bounds of numbers."""
    bare: str | None
    """What the flag means without a value; None: it needs one."""
    text: str
    optional: bool
    """Whether it may be unset."""


_SAME = object()


def _option(
    default: Any,
    flags: str,
    group: Group,
    key: str | None = None,
    *,
    script: Any = _SAME,
    at_least: float | None = None,
    below: float | None = None,
    bare: str | None = None,
) -> Any:
    about = {
        "flags": tuple(flags.split()),
        "group": group,
        "key": key,
        "script": default if script is _SAME else script,
        "at_least": at_least,
        "below": below,
        "bare": bare,
    }
    return field(default=default, metadata=about)


_FIT = ("train", "search")
_HARDWARE = ("transform", "search", "emit", "simulate")

RUN = Group("run", ACTIONS)
LOAD = Group("weights", ACTIONS)
DATA = Group("data", ACTIONS)
OPTIMIZER = Group("optimization", _FIT)
SCHEDULE = Group("learning rate", _FIT)
LENGTH = Group("length of training", _FIT)
DEVICES = Group("devices", ("train", "test", "search"))
OUTPUT = Group("output", ACTIONS)
LOGS = Group("checkpoints and logs", _FIT)
TRACE = Group("trace", ("trace",))
HARDWARE = Group("hardware", _HARDWARE)

Tables = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything that a run is told."""

    model: str | None = None
    """Model by name, or file.py:name."""
    dataset: str | None = None
    """Data set by name, file.py:name, or a .npz or .csv file."""
    task: Literal[
        "classification", "language_modeling", "translation", "reconstruction"
    ] = _option("classification", "--task", RUN)
    """What is learned; also cls, tran, lm."""
    seed: int = _option(0, "--seed", RUN)
    """Seed of weights, order and splits; same seed, same bits on one CPU."""
    to_debug: bool = _option(False, "--debug", RUN, "debug")
    """Few batches: train runs 5, then overfits 5; others take one. Errors come with
    their traceback."""
    log_level: Literal["debug", "info", "warning", "error", "critical"] = _option(
        "info", "--log-level", RUN
    )
    """Least severity of messages."""
    plugins: tuple[str, ...] = _option((), "--load-plugin", RUN)
    """Run a file first that defines models, data sets, passes or formats."""
    load_name: str | None = _option(None, "--load", LOAD)
    """Checkpoint, transformed model, or folder of save_pretrained."""
    load_type: Literal["hf", "pt", "pl", "pkl", "mase"] | None = _option(
        None, "--load-type", LOAD
    )
    """What --load names: save_pretrained (hf), a state dict (pt), of Lightning (pl), IR
    (mase), or a pickle (pkl), which runs code and is never assumed."""
    is_pretrained: bool = _option(False, "--pretrained", LOAD, "pretrained")
    """Weights that the model's publisher trained."""
    data_dir: str = _option("data", "--data-dir", DATA, "data.folder")
    """Folder that holds data sets."""
    batch_size: int = _option(
        128, "--batch-size --bsz", DATA, "data.batch_size", script=32, at_least=1
    )
    """Samples of a batch."""
    batch_size_eval: int | None = _option(
        None,
        "--batch-size-eval --bsz-eval",
        DATA,
        "data.batch_size_eval",
        script=32,
        at_least=1,
    )
    """The same outside training (as --batch-size)."""
    num_workers: int | None = _option(
        None, "--num-workers --cpu", DATA, "data.num_workers", script=1, at_least=0
    )
    """Processes that load data (all CPUs; none for data in memory)."""
    val_percent: float = _option(
        0.2, "--val-percent", DATA, "data.val_percent", at_least=0, below=1
    )
    """Share of the training data for validation, if there is none."""
    test_percent: float = _option(
        0.2, "--test-percent", DATA, "data.test_percent", at_least=0, below=1
    )
    """Share of the training data to test with, if there is none."""
    pin_memory: bool = _option(False, "--pin-memory", DATA, "data.pin_memory")
    """Batches in pinned memory, for GPUs."""
    drop_last: bool = _option(False, "--drop-last", DATA, "data.drop_last")
    """Leave out the last batch of an epoch if it is smaller."""
    shuffle_eval: bool = _option(False, "--shuffle-eval", DATA, "data.shuffle_eval")
    """Shuffle validation and test data, too."""
    max_token_len: int = _option(512, "--max-token-len", DATA, "data.max_token_len")
    """Tokens of a sample; negative: as many as the tokenizer says."""
    training_optimizer: Literal[
        "adam", "adamw", "sgd", "adadelta", "adagrad", "adamax", "asgd", "rmsprop"
    ] = _option("adam", "--training-optimizer --optimizer", OPTIMIZER, "optimizer")
    """Optimizer; sgd has momentum 0.9 (Nesterov)."""
    learning_rate: float = _option(
        1e-05, "--learning-rate --lr", OPTIMIZER, "optim.lr", script=0.001, at_least=0
    )
    """Learning rate to begin with."""
    weight_decay: float | None = _option(
        None, "--weight-decay", OPTIMIZER, "optim.weight_decay", script=0.0, at_least=0
    )
    """Weight decay (0; of sgd: 5e-4)."""
    gradient_clip_val: float = _option(
        0.0, "--clip-grad-norm", OPTIMIZER, "trainer.gradient_clip_val", at_least=0
    )
    """Largest norm of all gradients together; 0: any."""
    accumulate_grad_batches: int = _option(
        1,
        "--accumulate-grad-batches",
        OPTIMIZER,
        "trainer.accumulate_grad_batches",
        at_least=1,
    )
    """Batches whose gradients are added up for a step."""
    stochastic_weight_avg: bool = _option(
        False, "--stochastic-weight-avg", OPTIMIZER, "trainer.stochastic_weight_avg"
    )
    """Average the weights of the last fifth of epochs."""
    tbtt_steps: int | None = _option(
        None, "--tbtt-steps", OPTIMIZER, "trainer.tbtt_steps", at_least=1
    )
    """Backpropagate through N steps of a sequence at a time, for recurrent models."""
    lr_scheduler: Literal["none", "plateau", "cosine", "step"] = _option(
        "none", "--lr-scheduler", SCHEDULE, bare="plateau"
    )
    """How the rate falls: when validation loss stalls (plateau, which the flag alone
    means), along a cosine, or in steps."""
    lr_factor: float = _option(
        0.1, "--lr-factor", SCHEDULE, "lr_schedule.factor", at_least=0, below=1
    )
    """What plateau and step multiply the rate by."""
    lr_patience: int = _option(
        10, "--lr-patience", SCHEDULE, "lr_schedule.patience", at_least=0
    )
    """Epochs that plateau waits."""
    lr_cooldown: int = _option(
        0, "--lr-cooldown", SCHEDULE, "lr_schedule.cooldown", at_least=0
    )
    """Epochs that it rests afterwards."""
    min_lr: float = _option(0.0, "--min-lr", SCHEDULE, "lr_schedule.min_lr", at_least=0)
    """Least learning rate of plateau and cosine."""
    lr_step: int = _option(10, "--lr-step", SCHEDULE, "lr_schedule.step", at_least=1)
    """Epochs from one step to the next."""
    max_epochs: int = _option(
        20,
        "--max-epochs --epochs",
        LENGTH,
        "trainer.max_epochs",
        script=100,
        at_least=1,
    )
    """Passes over the training data at most."""
    max_steps: int = _option(-1, "--max-steps --steps", LENGTH, "trainer.max_steps")
    """Steps of the optimizer at most; 0 or less: any."""
    resume: bool = _option(False, "--resume", LENGTH, "trainer.resume")
    """Go on from the last complete checkpoint of --project."""
    check_val_every_n_epoch: int = _option(
        1, "--val-interval", LENGTH, "trainer.check_val_every_n_epoch", at_least=1
    )
    """Epochs between validations."""
    patience: int | None = _option(
        None, "--patience", LENGTH, "trainer.patience", script=3, at_least=0
    )
    """Stop early after so many validations without a better value (never)."""
    early_stop_on: str = _option(
        "val_loss", "--early-stop-on", LENGTH, "trainer.early_stop_on"
    )
    """What --patience looks at."""
    early_stop_mode: Literal["min", "max"] = _option(
        "min", "--early-stop-mode", LENGTH, "trainer.early_stop_mode"
    )
    """Whether the least or the greatest value is the best."""
    trainer_precision: Literal["16", "32", "64", "bf16"] = _option(
        "32", "--trainer-precision", DEVICES, "trainer.precision"
    )
    """Arithmetic of layers in floating point; 16 and bf16 are mixed with 32."""
    accelerator: Literal["auto", "cpu", "gpu"] = _option(
        "auto", "--accelerator", DEVICES, "trainer.accelerator"
    )
    """Kind of device."""
    num_devices: int = _option(
        1, "--num-devices --gpu --gpus", DEVICES, "trainer.gpus", at_least=0
    )
    """Devices of each node; 0: the CPU."""
    num_nodes: int = _option(
        1, "--num-nodes --nodes", DEVICES, "trainer.num_nodes", at_least=1
    )
    """Machines."""
    strategy: str = _option("auto", "--strategy", DEVICES, "trainer.strategy")
    """How devices work together: auto, ddp, fsdp and so on, as Lightning has them."""
    is_to_auto_requeue: bool = _option(
        False, "--auto-requeue", DEVICES, "trainer.auto_requeue"
    )
    """Let SLURM queue the run again when its time is over."""
    project_dir: str = _option(
        "mase_output",
        "--project-dir --experiments-folder",
        OUTPUT,
        "trainer.experiments_folder",
        script="experiments",
    )
    """Folder of all runs."""
    project: str | None = _option(
        None,
        "--project --experiment-name",
        OUTPUT,
        "trainer.experiment_name",
        script="experiment",
    )
    """Folder of this one in it (MODEL_TASK_DATASET_DATE)."""
    run_id: str | None = _option(None, "--run-id", OUTPUT, "trainer.run_id")
    """A folder of its own in that of the project, which must not exist yet."""
    save_top_k: int = _option(3, "--save-top-k", LOGS, "trainer.save_top_k", at_least=0)
    """How many of the best checkpoints to keep, beside best.ckpt and last.ckpt."""
    log_every_n_steps: int = _option(
        50, "--log-every-n-steps", LOGS, "trainer.log_every_n_steps", at_least=1
    )
    """Steps between entries in the logs of training."""
    wandb_project: str | None = _option(
        None, "--wandb-project", LOGS, "trainer.wandb_project"
    )
    """Log to Weights & Biases, too."""
    tags: tuple[str, ...] = _option((), "--tags", LOGS, "trainer.tags")
    """Tags of the run there; may be repeated."""
    experiment_group: str | None = _option(
        None, "--experiment-group", LOGS, "trainer.experiment_group"
    )
    """Group of the run there."""
    offline: bool = _option(False, "--offline", LOGS, "trainer.force_wandb_offline")
    """Keep what is for Weights & Biases on this machine."""
    samples: int | None = _option(
        None, "--samples", HARDWARE, "data.samples", at_least=1
    )
    """Samples to calibrate with (512) or to simulate (all)."""
    level: Literal["rtl", "verilog"] = _option("rtl", "--level", HARDWARE)
    """Simulate the circuit here (rtl), or the SystemVerilog by Verilator (verilog)."""
    target: str = _option("xcu250-figd2104-2L-e", "--target", HARDWARE)
    """FPGA that is named in the output."""
    num_targets: int = _option(100, "--num-targets", HARDWARE, at_least=1)
    """How many of them there are."""
    input_size: str | None = _option(None, "--input-size", TRACE)
    """Shape of a random batch to trace with, 1x1x4x4 (one sample of the data)."""
    save_input: bool = _option(True, "--save-input", TRACE)
    """Write that batch, too: float32, little-endian."""
    github_ci: bool = _option(False, "--github-ci", HARDWARE)
    """Emit without simulating the circuit."""
    model_args: Tables = field(default_factory=dict[str, Any])
    """Arguments of the model: table [model] of a file, with its `name`."""
    dataset_args: Tables = field(default_factory=dict[str, Any])
    """Arguments of the data set: table [dataset], with its `name`."""
    passes: Tables = field(default_factory=dict[str, Any])
    """Passes in order: tables [passes.NAME], as mase-opt --config has them."""
    search: Tables = field(default_factory=dict[str, Any])
    """The search: table [search]."""
    emit: Tables = field(default_factory=dict[str, Any])
    """The emission: table [emit]."""
    loss: Tables = field(default_factory=dict[str, Any])
    """What an architecture learns: table [loss]."""
    adversarial: Tables = field(default_factory=dict[str, Any])
    """How its discriminator learns: table [adversarial]."""
    saving: Tables = field(default_factory=dict[str, Any])
    """Checkpoints beside the best ones: table [saving]."""
    evaluation: Tables = field(default_factory=dict[str, Any])
    """What test and plot draw: table [evaluation]."""


@cache
def options() -> Mapping[str, Option]:
    """The options that have flags, by name."""
    texts = field_docstrings(Config)
    hints = get_type_hints(Config)
    found: dict[str, Option] = {}
    for f in fields(Config):
        if "flags" not in f.metadata:
            continue
        about = cast("dict[str, Any]", dict(f.metadata))
        kind, optional = _without_none(hints[f.name])
        choices = get_args(kind) if get_origin(kind) is Literal else ()
        found[f.name] = Option(
            name=f.name,
            flags=about["flags"],
            key=about["key"] or f.name,
            group=about["group"],
            kind=str if choices else (get_origin(kind) or kind),
            choices=choices,
            default=f.default,
            script=about["script"],
            at_least=about["at_least"],
            below=about["below"],
            bare=about["bare"],
            text=" ".join(texts[f.name].split()),
            optional=optional,
        )
    return found


def _without_none(kind: Any) -> tuple[Any, bool]:
    if get_origin(kind) in (Union, types.UnionType):
        kinds = [k for k in get_args(kind) if k is not type(None)]
        return kinds[0], True
    return kind, False


def names_of_keys() -> dict[str, str]:
    """The names of options by all that files may call them."""
    found = {key: key for key in ("model", "dataset", *ARGUMENTS.values(), *TABLES)}
    for option in options().values():
        found |= {option.name: option.name, option.key: option.name}
    return found


def checked(
    values: Mapping[str, Any], where: str, places: Mapping[str, str]
) -> dict[str, Any]:
    """
    Options by name with their values as `Config` has them.

    `where` is what errors begin with, `places` what they call options there. Raises
    `UserError` for values of other types and ranges, with what would work.
    """
    return {
        name: _value(name, value, f"{where}: {places[name]}")
        for name, value in values.items()
    }


def _value(name: str, value: Any, where: str) -> Any:
    option = options().get(name)
    if option is None:
        is_table = name in TABLES or name in ARGUMENTS.values()
        if is_table and not isinstance(value, Mapping):
            raise UserError(f"{where} is {value!r}, expected a table")
        if not is_table and not isinstance(value, str | None):
            raise UserError(f"{where} is {value!r}, expected a name")
        return cast(Any, value)
    if option.optional and value in (None, "NA"):
        return None
    value = _usual(option, value)
    if not _fits(option, value):
        raise UserError(
            f"{where} is {value!r}, expected {_wanted(option)}"
            f"{did_you_mean(str(value), option.choices)}"
        )
    return value


def _usual(option: Option, value: Any) -> Any:
    """A value as `Config` has it, of the other spellings that files and scripts use."""
    if option.kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if option.choices:
        if isinstance(value, bool):
            # A schedule that is switched on or off, as scripts have it.
            value = option.bare if value and option.bare else "none"
        text = str(value).lower()
        return _LONG.get(text, text)
    if option.kind is tuple:
        return tuple(cast("list[Any]", value)) if isinstance(value, list) else value
    return value


def _fits(option: Option, value: Any) -> bool:
    if option.choices:
        return value in option.choices
    if not isinstance(value, option.kind):
        return False
    if option.kind is tuple:
        return all(isinstance(item, str) for item in value)
    if isinstance(value, bool):
        return option.kind is bool
    # Comparisons with NaN are false.
    return (option.at_least is None or value >= option.at_least) and (
        option.below is None or value < option.below
    )


def _wanted(option: Option) -> str:
    if option.choices:
        return f"one of {', '.join(option.choices)}"
    kinds = {
        str: "text",
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        tuple: "a list of texts",
    }
    bounds = "" if option.at_least is None else f" of at least {option.at_least:g}"
    if option.below is not None:
        bounds += f" and below {option.below:g}"
    return f"{kinds[option.kind]}{bounds}"
