"""Data sets of streams: what a file of a training describes, or functions make."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mase_opt.frontend.load_model import python_module
from mase_opt.lib.errors import UserError
from mase_opt.lib.suggest import did_you_mean
from mase_opt.training.registry import DataRequest, DatasetInfo, Splits, dataset

if TYPE_CHECKING:
    from mase_opt.training.tables import Stream

FUNCTIONS = "dataset_functions.py"
"""The file beside that of a training with functions for its data."""
Array = NDArray[Any]


@dataset("streams")
def streams(
    request: DataRequest, streams: Mapping[str, Any] | None = None, folder: str = "."
) -> Splits:
    """What a file of a training describes: inputs, and targets as a second stream."""
    from mase_opt.training.schemas import validated
    from mase_opt.training.tables import Stream

    where = "data set 'streams'"
    tables = dict(streams or {})
    length_of = tables.pop("data_len_key", None)
    if not 1 <= len(tables) <= 2:
        raise UserError(
            f"{where}: dataset: expected one stream, or inputs and targets, found "
            f"{', '.join(tables) or 'none'}"
        )
    if length_of is not None and length_of not in tables:
        raise UserError(
            f"{where}: dataset.data_len_key: there is no stream '{length_of}'"
            f"{did_you_mean(str(length_of), tables)}"
        )
    readers = {
        name: _Reader(
            validated(Stream, about, where, f"dataset.{name}"),
            f"{where}: dataset.{name}",
            Path(folder),
            request.seed,
        )
        for name, about in tables.items()
    }
    arrays = {name: reader.read() for name, reader in readers.items()}
    count = len(arrays[length_of or next(iter(arrays))])
    for name, array in arrays.items():
        if len(array) < count:
            raise UserError(
                f"{where}: dataset.{name}: {len(array)} samples, expected {count}"
            )
    inputs, *targets = [array[:count] for array in arrays.values()]
    transforms = [reader.transform() for reader in readers.values()]

    def collate(batch: Any) -> Any:
        tensors = [*batch]
        for index, transform in enumerate(transforms):
            if transform is not None:
                tensors[index] = transform(tensors[index])
        return (tensors[0], tensors[1] if targets else tensors[0])

    info = DatasetInfo(inputs.shape[1:], None)
    return Splits(
        (inputs, targets[0] if targets else inputs),
        info=info,
        collate=collate if any(transforms) else None,
    )


class _Reader:
    """Reads a stream by the functions that it names."""

    def __init__(self, about: Stream, where: str, folder: Path, seed: int):
        self._about = about
        self._where = where
        self._folder = folder
        self._seed = seed

    def read(self) -> Array:
        """The samples `[count, …]`."""
        about = self._about
        if about.data_read_type == "function":
            make = self._function("data_generating_function")
            arguments = about.data_generating_function_args or {}
            found = self._array(self._called(make, **arguments))
        else:
            found = self._from_files()
        if about.data_read_postprocessing_fn is not None:
            after = self._function("data_read_postprocessing_fn")
            found = self._array(self._called(after, found))
        if about.randomize_inputs:
            found = found[np.random.default_rng(self._seed).permutation(len(found))]
        return found if about.n_inputs < 0 else found[: about.n_inputs]

    def transform(self) -> Callable[[Any], Any] | None:
        """What is done to each batch."""
        if self._about.data_batch_transform is None:
            return None
        function = self._function("data_batch_transform")
        arguments = self._about.data_batch_transform_args or {}
        return lambda batch: self._called(function, batch, **arguments)

    def _from_files(self) -> Array:
        about = self._about
        paths: list[Path] = []
        for name in about.data_path:
            path = Path(name) if Path(name).exists() else self._folder / name
            if not path.exists():
                raise UserError(f"{self._where}.data_path: there is no '{name}'")
            inside = about.data_read_type == "folder"
            paths += (
                sorted(p for p in path.iterdir() if p.is_file()) if inside else [path]
            )
        reader: Callable[..., Any] = _default_reader
        if about.file_reader is not None:
            reader = self._function("file_reader")
        arguments = about.file_reader_args or {}
        parts = [self._array(self._called(reader, str(p), **arguments)) for p in paths]
        if not parts:
            raise UserError(f"{self._where}.data_path: there is no file")
        many = about.multiple_samples_per_file
        shapes = {part.shape[1:] if many else part.shape for part in parts}
        if len(shapes) > 1:
            raise UserError(f"{self._where}.data_path: samples of {len(shapes)} shapes")
        return np.concatenate(parts) if many else np.stack(parts)

    def _function(self, key: str) -> Callable[..., Any]:
        """The function that `key` names, of `file.py:name` or the file beside."""
        name: str = getattr(self._about, key)
        place, _, attribute = name.rpartition(":")
        path = Path(place) if place else self._folder / FUNCTIONS
        if not path.is_file():
            raise UserError(f"{self._where}.{key}: '{name}': there is no {path}")
        known = {k: v for k, v in vars(python_module(str(path))).items() if callable(v)}
        if attribute not in known:
            near = did_you_mean(attribute, known)
            raise UserError(
                f"{self._where}.{key}: '{attribute}' is not in {path}{near}"
            )
        return known[attribute]

    def _called(self, function: Callable[..., Any], *values: Any, **named: Any) -> Any:
        try:
            return function(*values, **named)
        except UserError:
            raise
        except Exception as error:  # whatever a user's function raises
            name = getattr(function, "__name__", "function")
            reason = f"{type(error).__name__}: {error}"
            raise UserError(f"{self._where}: {name} failed: {reason}") from error

    def _array(self, found: Any) -> Array:
        array = np.asarray(found)
        if array.ndim < 1 or array.dtype.kind not in "fiub":
            raise UserError(
                f"{self._where}: expected numbers by samples, found {array.dtype} of "
                f"rank {array.ndim}"
            )
        return array.astype(np.float32)


def _default_reader(path: str, key: str = "data") -> Any:
    """The array `key` of an .npz or .h5 file, or all of an .npy file."""
    if Path(path).suffix in (".h5", ".hdf5"):
        try:
            h5py: Any = import_module("h5py")
        except ModuleNotFoundError as error:
            raise UserError(f"'{path}' needs h5py: pip install h5py") from error
        with h5py.File(path, "r") as held:
            return held[key][()]
    held = np.load(path, allow_pickle=False)
    return held[key] if Path(path).suffix == ".npz" else held
