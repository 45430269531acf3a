"""What `--load` names, and what becomes of it: a module, or a transformed model."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO
from loguru import logger
from torch import nn

import mase_opt
from mase_opt import Model
from mase_opt.frontend.to_torch import MaseModule
from mase_opt.lib.atomic import atomic_file
from mase_opt.lib.errors import UserError
from mase_opt.lib.temporaries import temporary_folder
from mase_opt.training.config import Config
from mase_opt.training.models.text import AUTO_CLASSES
from mase_opt.training.registry import DatasetInfo, ModelEntry

TYPES = ("hf", "pt", "pl", "pkl", "mase")
ALLOWED: Mapping[str, Sequence[str]] = {
    "train": TYPES,
    "test": TYPES,
    "search": TYPES,
    "emit": TYPES,
    "simulate": ("mase",),
    "trace": TYPES,
    "plot": TYPES,
    "transform": ("hf", "pt", "pl", "mase"),
}
"""What each action can load."""

IR_KEY = "mase_ir"
"""Where a Lightning checkpoint of a transformed model has its IR."""
PREFIX = "model."
"""What names of weights begin with in Lightning checkpoints."""
_LIGHTNING = "pytorch-lightning_version"
_SHOWN = 5
"""Names of weights that a message lists."""


@dataclass(frozen=True)
class Subject:
    """A model as torch runs it."""

    module: nn.Module
    ir: Model | None = None
    """The transformed model that `module` computes; None: it is a plain module."""


def load_subject(
    config: Config, action: str, entry: ModelEntry, info: DatasetInfo
) -> Subject:
    """
    The model that an action works on: built by name, with weights if `--load` says so.

    Raises `UserError` for files of other kinds than the action takes, that are damaged,
    or that belong to another model.
    """

    def build(pretrained: bool = False) -> nn.Module:
        return entry(info, pretrained=pretrained, arguments=config.model_args)

    name = config.load_name
    if name is None:
        return _built(build(config.is_pretrained))
    path = Path(name)
    if not path.exists():
        raise UserError(f"cannot load '{name}': no such file or folder")
    kind = config.load_type or _inferred(path)
    if kind not in ALLOWED[action]:
        raise UserError(
            f"{action} cannot load '{name}' of type {kind}: it takes "
            f"{', '.join(ALLOWED[action])}"
        )
    if path.is_dir() != (kind == "hf"):
        what = "a folder" if path.is_dir() else "a file"
        raise UserError(
            f"cannot load '{name}' as {kind}: it is {what}; hf is a folder that "
            "save_pretrained wrote, the others are files"
        )
    logger.info(f"load {name} ({kind})")
    match kind:
        case "hf":
            return Subject(_hugging_face(path, action, entry, config, info))
        case "mase":
            return _subject(mase_opt.load(path, plugins=config.plugins))
        case "pkl":
            return _pickled(path)
        case _:
            return _weights(path, kind, entry.name, build)


def _inferred(path: Path) -> str:
    """The type of a checkpoint by what it is; raises `UserError`."""
    if path.is_dir():
        if (path / "config.json").is_file():
            return "hf"
    elif path.suffix == ".mlir":
        return "mase"
    elif path.suffix == ".safetensors":
        return "pt"
    elif path.suffix == ".pkl":
        raise UserError(
            f"'{path}' is a pickle, and loading it runs code that is in it: add "
            "--load-type pkl if you trust whom it is from"
        )
    elif path.suffix in (".ckpt", ".pt", ".pth", ".bin"):
        return "pl" if _LIGHTNING in held_in(path) else "pt"
    raise UserError(
        f"cannot tell what '{path}' is: give --load-type, one of {', '.join(TYPES)}"
    )


def held_in(path: Path) -> Mapping[str, Any]:
    """What a file of weights holds; nothing in it is run."""
    try:
        if path.suffix == ".safetensors":
            from safetensors import torch as safetensors

            return cast(Any, safetensors).load_file(path)
        found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if not zipfile.is_zipfile(path):
            raise _damaged(path, error) from error
        raise UserError(
            f"'{path}' holds Python objects beside weights, and loading them runs "
            "code: save model.state_dict(), or give --load-type pkl if you trust whom "
            "it is from"
        ) from error
    except Exception as error:  # whatever a damaged file makes its reader raise
        raise _damaged(path, error) from error
    if not isinstance(found, Mapping):
        raise UserError(
            f"'{path}' holds {type(found).__name__}, expected weights by name"
        )
    return cast("Mapping[str, Any]", found)


def _damaged(path: Path, error: Exception) -> UserError:
    reason = str(error).strip().partition("\n")[0] or type(error).__name__
    return UserError(f"'{path}' is damaged or no checkpoint: {reason}")


def _weights(
    path: Path, kind: str, name: str, build: Callable[[], nn.Module]
) -> Subject:
    """A model with the weights of a state dict, or of a Lightning checkpoint."""
    held = held_in(path)
    if (kind == "pl") != (_LIGHTNING in held):
        other = "pl" if kind == "pt" else "pt"
        raise UserError(
            f"'{path}' is no checkpoint of type {kind}: use --load-type {other}"
        )
    subject = _built(build()) if IR_KEY not in held else _of_text(held[IR_KEY])
    weights: Any = held.get("state_dict", held)
    if kind == "pl":
        weights = {
            key.removeprefix(PREFIX): value
            for key, value in weights.items()
            if key.startswith(PREFIX)
        }
    _fill(subject.module, weights, f"'{path}' is not of model '{name}'")
    if subject.ir is None:
        return subject
    trained = mase_opt.from_torch(cast(MaseModule, subject.module))
    return Subject(subject.module, trained)


def _fill(module: nn.Module, weights: Mapping[str, Any], where: str) -> None:
    """Load weights; raises `UserError` unless they are all there, and no others."""
    wanted: dict[str, Any] = module.state_dict()
    wrong: list[str] = []
    for what, names in (
        ("missing", [n for n in wanted if n not in weights]),
        ("unexpected", [n for n in weights if n not in wanted]),
        (
            "of another shape",
            [
                f"{n} ({_shape(weights[n])} for {_shape(wanted[n])})"
                for n in wanted
                if n in weights and _shape(weights[n]) != _shape(wanted[n])
            ],
        ),
    ):
        if names:
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            wrong.append(f"{what} {', '.join(names[:_SHOWN])}{more}")
    if wrong:
        raise UserError(f"{where}: {'; '.join(wrong)}")
    module.load_state_dict(weights)


def _shape(value: Any) -> str:
    shape = getattr(value, "shape", None)
    if shape is None:
        return type(value).__name__
    return "x".join(map(str, shape)) or "scalar"


def _pickled(path: Path) -> Subject:
    logger.warning(f"loading the pickle '{path}' runs the code that is in it")
    try:
        if zipfile.is_zipfile(path):
            found: Any = torch.load(path, map_location="cpu", weights_only=False)
        else:
            with path.open("rb") as stream:
                found = pickle.load(stream)
    except Exception as error:  # whatever a damaged pickle makes its reader raise
        raise _damaged(path, error) from error
    if not isinstance(found, nn.Module):
        raise UserError(
            f"'{path}' holds {type(found).__name__}, expected a whole torch.nn.Module; "
            "weights alone are type pt or pl"
        )
    return _built(found)


def _hugging_face(
    path: Path, action: str, entry: ModelEntry, config: Config, info: DatasetInfo
) -> nn.Module:
    """
    The model of a folder that `save_pretrained` wrote.

    Weights may be missing for training only: those of a new head.
    """
    try:
        import transformers
    except ImportError as error:
        raise UserError(
            f"'{path}' needs transformers: pip install 'mase-opt[models]'"
        ) from error
    made_by = AUTO_CLASSES.get((entry.family, config.task))
    if made_by is None:
        raise UserError(f"'{path}': type hf is not for task {config.task}")
    made: Any = getattr(transformers, made_by)
    labels = {} if info.num_classes is None else {"num_labels": info.num_classes}
    try:
        module, told = made.from_pretrained(
            str(path), local_files_only=True, output_loading_info=True, **labels
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise _damaged(path, error) from error
    missing = sorted(told["missing_keys"])
    if missing:
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        said = f"'{path}' is without {', '.join(missing[:_SHOWN])}{more}"
        if action != "train":
            raise UserError(f"{said}: train first, and --load what that writes")
        logger.warning(f"{said}: they start at random")
    module.config.use_cache = False
    return module.train()  # which from_pretrained switches off


# Transformed models.


def _built(module: nn.Module) -> Subject:
    """What a module is: one of a quantized model has its IR."""
    is_quantized = isinstance(module, MaseModule)
    return Subject(module, mase_opt.from_torch(module) if is_quantized else None)


def _subject(model: Model) -> Subject:
    return Subject(model.to_torch(), model)


def _of_text(text: str) -> Subject:
    with temporary_folder("mase-ir") as folder:
        (folder / "model.mlir").write_text(text, encoding="utf-8")
        return _subject(mase_opt.load(folder / "model.mlir"))


def text_of(model: Model) -> str:
    """IR with its weights, as `mase-opt` reads it."""
    with temporary_folder("mase-ir") as folder:
        model.save(folder / "model.mlir")
        return (folder / "model.mlir").read_text(encoding="utf-8")


def module_of_text(text: str) -> MaseModule:
    """What a pickled transformed model becomes."""
    return cast(MaseModule, _of_text(text).module)


class _Pickled:
    """A transformed model as a pickle that gives its torch module."""

    def __init__(self, model: Model):
        self._model = model

    def __reduce__(self) -> tuple[Any, ...]:
        return module_of_text, (text_of(self._model),)


def save_transformed(model: Model, path: Path) -> None:
    """
    Write the IR to `path`, `.mlir`, and beside it weights and a pickle.

    The IR is complete; `.safetensors` has its numbers by name, and `.pkl` is what tools
    of old load: unpickling it gives the torch module. Raises `UserError`.
    """
    from safetensors import torch as safetensors

    model.save(path)
    held = model.to_torch().state_dict()
    tensors = {name: tensor.contiguous().clone() for name, tensor in held.items()}
    for suffix, data in (
        (".safetensors", safetensors.save(tensors)),
        (".pkl", pickle.dumps(_Pickled(model))),
    ):
        with atomic_file(path.with_suffix(suffix)) as stream:
            stream.buffer.write(data)


class AtomicCheckpoints(TorchCheckpointIO):
    """Checkpoints of Lightning that appear complete, or not at all."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        """Raises `UserError` if it cannot be written."""
        # In memory first: torch's writer does not say why a file cannot be written.
        data = BytesIO()
        torch.save(checkpoint, data)
        with atomic_file(path) as stream:
            stream.buffer.write(data.getbuffer())
