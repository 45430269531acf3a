"""The folder of a run: its name, its parts, and that no two runs share it."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mase_opt.lib.atomic import atomic_file
from mase_opt.lib.errors import UserError
from mase_opt.lib.temporaries import temporary_folder
from mase_opt.training.config import ACTIONS, Config

LATEST = "latest"
"""The link to the folder of the last run, beside it."""
BEST, LAST = "best.ckpt", "last.ckpt"


@dataclass(frozen=True)
class RunFolder:
    """What a run writes, and where."""

    path: Path

    @property
    def hardware(self) -> Path:
        """What `mase-opt --emit-sv -o` writes."""
        return self.path / "hardware"

    @property
    def software(self) -> Path:
        """Checkpoints, transformed models, results, logs."""
        return self.path / "software"

    @property
    def checkpoints(self) -> Path:
        """Of training."""
        return self.software / "training_ckpts"

    @property
    def logs(self) -> Path:
        """Of training, for TensorBoard: `version_<n>`, one for each run."""
        return self.checkpoints / "logs"

    @property
    def transformed(self) -> Path:
        """The transformed model, as IR; others of its stem are beside it."""
        return self.software / "transform" / "model.mlir"

    @property
    def search(self) -> Path:
        """The study of a search."""
        return self.software / "search_ckpts"

    @property
    def searched(self) -> Path:
        """The model of its best trial, as IR; others of its stem are beside it."""
        return self.search / "best.mlir"

    @property
    def emitted(self) -> Path:
        """The quantized model that `hardware` was made of."""
        return self.software / "emit" / "model.mlir"

    def results(self, action: str) -> Path:
        """Outputs on the test data."""
        return self.software / action / "outputs.npz"

    def written_config(self, action: str) -> Path:
        """The configuration that an action ran with."""
        return self.path / f"{action}.yaml"

    def latest_config(self, action: str | None = None) -> Path | None:
        """That of the last action here, or of `action`, if there is one."""
        found = [
            self.written_config(name) for name in ACTIONS if action in (None, name)
        ]
        return max(
            (path for path in found if path.is_file()),
            key=lambda path: path.stat().st_mtime_ns,
            default=None,
        )

    def latest_model(self) -> Path | None:
        """What the last training, transformation or search left, if anything."""
        found = [self.transformed, self.searched, self.checkpoints / BEST]
        return max(
            (path for path in found if path.is_file()),
            key=lambda path: path.stat().st_mtime_ns,
            default=None,
        )

    def set_aside(self) -> None:
        """Move the checkpoints of an earlier training to its logs."""
        earlier = sorted(self.checkpoints.glob("*.ckpt"))
        versions = [
            int(path.name.removeprefix("version_"))
            for path in self.logs.glob("version_*")
            if path.name.removeprefix("version_").isdecimal()
        ]
        for path in earlier:
            target = self.logs / f"version_{max(versions, default=0)}"
            target.mkdir(parents=True, exist_ok=True)
            path.replace(target / path.name)


def is_first_process() -> bool:
    """Whether this process writes: under torchrun and SLURM the others do not."""
    ranks = (os.environ.get(name) for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK"))
    return next((rank for rank in ranks if rank), "0") == "0"


def earlier_folder(config: Config) -> RunFolder | None:
    """The folder that `--project` names, or that of the last run, if it is there."""
    path = Path(config.project_dir) / (config.project or LATEST)
    if config.run_id is not None:
        path = path / config.run_id
    return RunFolder(path.resolve()) if path.is_dir() else None


@contextmanager
def run_folder(config: Config, *, new: bool) -> Generator[RunFolder]:
    """
    The folder of a run, made if need be, and its own within the block.

    Where a folder with the usual name is in use, another one is taken. With `new`, one
    with `--run-id` must not exist. Raises `UserError` if it does, cannot be made, or is
    in use.
    """
    base = Path(config.project_dir) / (config.project or _default_name(config))
    path = base if config.run_id is None else base / config.run_id
    if not is_first_process():
        yield RunFolder(path)
        return
    if new and config.run_id is not None and path.exists():
        raise UserError(
            f"run '{config.run_id}' exists already, in {base}: give another --run-id"
        )
    number = 1
    while True:
        folder = RunFolder(
            path if number == 1 else base.with_name(f"{base.name}_{number}")
        )
        try:
            folder.hardware.mkdir(parents=True, exist_ok=True)
            folder.software.mkdir(exist_ok=True)
            handle = os.open(folder.path / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            reason = error.strerror or str(error)
            raise UserError(f"cannot make folder '{folder.path}': {reason}") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError:
            os.close(handle)
        if config.project is not None:
            raise UserError(
                f"another run uses folder '{folder.path}': wait for it, or give "
                "another --project"
            )
        number += 1
    try:
        _point_to(folder)
        yield folder
    finally:
        os.close(handle)


def _default_name(config: Config) -> str:
    """MODEL_TASK_DATASET_DATE, of characters that names of files have."""
    parts = [config.model or "model", config.task, config.dataset or "data"]
    date = datetime.now().strftime("%Y-%m-%d")
    return "_".join([*(_plain(part) for part in parts), date])


def _plain(name: str) -> str:
    place, colon, attribute = name.rpartition(":")
    if colon and place.endswith(".py"):
        name = f"{Path(place).stem}-{attribute}"
    elif name.endswith((".npz", ".csv", ".yaml", ".yml")):
        name = Path(name).stem
    return re.sub(r"[^\w.@+-]", "-", name)


def _point_to(folder: RunFolder) -> None:
    """Let the link to the last run show here."""
    parent = folder.path.parent
    with temporary_folder(f".{LATEST}", parent) as place:
        (place / LATEST).symlink_to(folder.path.name)
        (place / LATEST).replace(parent / LATEST)


def write_text(path: Path, text: str) -> None:
    """Write a file of the run, with its folder; all of it, or nothing."""
    with atomic_file(path) as stream:
        stream.write(text)
