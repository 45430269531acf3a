"""Input data for a function: arrays, loaders, `.npz` and `.npy` files, or random."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import IntegerType
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, SSAValue

from mase_opt.dialects.mase.base import SameElementOp, show
from mase_opt.dialects.mase.layers import EmbeddingOp
from mase_opt.dialects.mase.shape import GatherOp
from mase_opt.dialects.mase.types import (
    ElementType,
    element_of,
    exact_format,
    shape_of,
)
from mase_opt.lib.data.array_files import open_arrays
from mase_opt.lib.errors import UserError
from mase_opt.lib.model_function import argument_names
from mase_opt.lib.suggest import did_you_mean

Array = NDArray[Any]
Data = Any
"""
Arrays or tensors, `[N, *shape]` each: one, a sequence, or a mapping by names; an
iterable of batches of those; the name of a `.npz` or `.npy` file.
"""
LABELS = ("labels", "y")
"""What arrays of classes are called."""
PIECE = 1 << 20
"""About how many numbers of a file are looked at together."""


@dataclass(frozen=True)
class Input:
    """An argument of a function, as its data must look."""

    name: str
    shape: tuple[int, ...]
    integers: range | None
    """The values of a builtin integer type (indices, masks); None: it takes numbers."""


def inputs_of(function: FuncOp) -> list[Input]:
    """The arguments of `function`, in order."""
    names = argument_names(function)
    return [
        Input(name, shape_of(a), _integers(element_of(a)))
        for name, a in zip(names, function.args, strict=True)
    ]


def _integers(element: Attribute) -> range | None:
    if not isinstance(element, IntegerType):
        return None
    format = exact_format(cast(Attribute, element))
    assert format is not None, "an integer type is a format"
    # The interpreter holds int64.
    return range(format.min_code, min(format.max_code + 1, 1 << 63))


def load_samples(
    path: str, inputs: Sequence[Input], limit: int | None = None
) -> list[Array]:
    """
    Samples for each of `inputs`, shaped `[samples, *shape]`; at most `limit` of them.

    The file holds one array per input under its name, samples along the first axis; a
    leading dimension of 1 (the batch) may be missing. Further arrays (labels, say) are
    left alone. A single array serves a single input whatever its name. Nothing is ever
    unpickled. Large arrays of float32 numbers, or int64 for integers, stay in the file
    until they are looked at, unless it is compressed.

    Raises `UserError` for everything that does not fit.
    """
    with _opened(path) as file:
        arrays = _named(path, file, inputs)
        samples = [
            _checked(f"data '{path}', array '{key}'", arrays[key], input, limit)
            for key, input in _matched(f"data '{path}'", list(arrays), inputs)
        ]
    _check_counts(f"data '{path}'", samples, inputs)
    return samples


def _check_counts(
    where: str, samples: Sequence[Array], inputs: Sequence[Input]
) -> None:
    if len({len(array) for array in samples}) > 1:
        found = ", ".join(
            f"{len(a)} of '{i.name}'" for a, i in zip(samples, inputs, strict=True)
        )
        raise UserError(f"{where} has as many samples of no two inputs: {found}")


def as_samples(
    data: Data, inputs: Sequence[Input], limit: int | None = None
) -> list[Array]:
    """
    Samples for each of `inputs`, `[samples, *shape]`; at most `limit` of them.

    Raises `UserError` for what does not fit.
    """
    if isinstance(data, str | Path):
        return load_samples(str(data), inputs, limit)
    if _is_loader(data):
        data = _collected(data, len(inputs), limit)[0]
    if isinstance(data, Mapping):
        named = {str(k): _array(v) for k, v in cast("Mapping[Any, Any]", data).items()}
        matched = _matched("data", list(named), inputs)
        arrays = [(f"data '{key}'", named[key], input) for key, input in matched]
    else:
        values: list[Any] = [data]
        if isinstance(data, tuple | list):
            parts = list(cast("Sequence[Any]", data))
            # A list of numbers is an array by itself, `[array]` is one in a sequence.
            if len(inputs) != 1 or (len(parts) == 1 and hasattr(parts[0], "__array__")):
                values = parts
        if len(values) != len(inputs):
            raise UserError(
                f"data has {len(values)} arrays, expected {len(inputs)}, for "
                f"{', '.join(i.name for i in inputs) or 'no input'}"
            )
        arrays = [
            (f"data for '{input.name}'", _array(value), input)
            for value, input in zip(values, inputs, strict=True)
        ]
    samples = [_checked(where, array, input, limit) for where, array, input in arrays]
    _check_counts("data", samples, inputs)
    return samples


def labels_in(data: Data, limit: int | None = None) -> tuple[Data, Array]:
    """
    Data without, and the labels in it: the last of the arrays of each batch of a
    loader, or those called `labels` or `y`. Raises `UserError` if there are none.
    """
    if isinstance(data, str | Path):
        return data, _labels_of_file(str(data))[0]
    if isinstance(data, Mapping):
        named = dict(cast("Mapping[str, Any]", data))
        for key in LABELS:
            if key in named:
                labels = _array(named.pop(key))
                return named, labels
    if _is_loader(data):
        inputs, labels = _collected(data, None, limit)
        if labels is not None:
            return inputs, labels
    raise UserError(
        "there are no labels in the data: give them as labels, as an array 'labels' or "
        "'y', or as the last part of a loader's batches"
    )


def as_labels(
    labels: Any, count: int, where: str = "labels", *, classes: bool = True
) -> Array:
    """The label of each of `count` samples, a class; raises `UserError` otherwise."""
    labels = _array(labels)
    if not classes and labels.ndim and len(labels) >= count:
        return labels[:count]
    if labels.ndim != 1 or len(labels) < count:
        raise UserError(
            f"{where} has shape {show(labels.shape)}, expected one label for each of "
            f"the {count} samples"
        )
    labels = labels[:count]
    if labels.dtype.kind not in "iubf":
        raise UserError(f"{where} holds {labels.dtype}, expected numbers of classes")
    if (wrong := ~np.isfinite(labels) | (labels != np.floor(labels))).any():
        raise UserError(
            f"{where} holds {labels[wrong][0]}, expected whole numbers, which count "
            "classes from 0 on"
        )
    return labels


def load_labels(path: str, count: int) -> Array:
    """
    The class of each of `count` samples: the array `labels` or `y` of a `.npz` file.

    Raises `UserError` if there is none, or not a whole number for each sample.
    """
    return as_labels(*_labels_of_file(path, count))


def _labels_of_file(path: str, count: int = 0) -> tuple[Array, int, str]:
    with _opened(path) as file:
        keys = list(file) if isinstance(file, Mapping) else []
        key = next((k for k in LABELS if k in keys), None)
        if key is None or not isinstance(file, Mapping):
            raise UserError(
                f"data '{path}' has no array 'labels' or 'y' (it has "
                f"{', '.join(keys) or 'no names'}): add one, or leave --labels out"
            )
        return file[key], count, f"data '{path}', array '{key}'"


def _is_loader(data: Data) -> bool:
    """Whether `data` gives batches, and is no array by itself."""
    arrays = (Mapping, str, tuple, list, np.ndarray)
    return (
        hasattr(data, "__iter__")
        and not isinstance(data, arrays)
        and not hasattr(data, "__array__")
    )


def _collected(
    loader: Any, inputs: int | None, limit: int | None
) -> tuple[Any, Array | None]:
    """
    All batches of a loader as arrays: of inputs, and of what follows them.

    `inputs` is how many inputs there are; None: all parts of a batch but the last.
    """
    batches: list[list[Array]] = []
    names: list[str] = []
    count = 0
    for batch in loader:
        if isinstance(batch, Mapping):
            named = cast("Mapping[str, Any]", batch)
            names, parts = list(named), [_array(v) for v in named.values()]
        elif isinstance(batch, tuple | list):
            parts = [_array(v) for v in cast("Sequence[Any]", batch)]
        else:
            parts = [_array(batch)]
        batches.append(parts)
        count += len(parts[0]) if parts and parts[0].ndim else 0
        if limit is not None and count >= limit:
            break
    if not batches:
        raise UserError("the loader gives no batches")
    if len({len(parts) for parts in batches}) != 1:
        raise UserError("the batches of the loader have different numbers of arrays")
    arrays = [np.concatenate(parts) for parts in zip(*batches, strict=True)]
    if names:
        found = dict(zip(names, arrays, strict=True))
        labels = next((found.pop(key) for key in LABELS if key in found), None)
        return found, labels
    if inputs is None:
        inputs = len(arrays) - 1
    labels = arrays[-1] if len(arrays) > inputs else None
    given = arrays[:inputs]
    return given[0] if len(given) == 1 else tuple(given), labels


def _array(value: Any) -> Array:
    """An array of what may be a tensor; raises `UserError` for what is no array."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise UserError(f"data is no array: {error}") from error
    if array.dtype == object:
        raise UserError(f"data holds {type(value).__name__}, expected numbers")
    return array


@contextmanager
def _opened(path: str) -> Generator[Array | Mapping[str, Array]]:
    """What `open_arrays` finds; raises `UserError` for all that goes wrong with it."""
    if not Path(path).is_file():
        raise UserError(f"data '{path}': no such file")
    try:
        with Path(path).open("rb") as stream:
            yield open_arrays(stream)
    except UserError:
        raise
    except MemoryError as error:
        raise UserError(f"data '{path}' does not fit in memory: {error}") from error
    except Exception as error:  # whatever a damaged file makes the readers raise
        raise UserError(
            f"data '{path}' is not a .npz or .npy file of plain numbers: "
            f"{str(error) or type(error).__name__}"
        ) from error


def _named(
    path: str, file: Array | Mapping[str, Array], inputs: Sequence[Input]
) -> Mapping[str, Array]:
    if isinstance(file, Mapping):
        return file
    if len(inputs) != 1:
        raise UserError(
            f"data '{path}' is one array for {len(inputs)} inputs, write a .npz file "
            f"with the arrays {', '.join(i.name for i in inputs)}"
        )
    return {inputs[0].name: file}


def _matched(
    where: str, keys: Sequence[str], inputs: Sequence[Input]
) -> list[tuple[str, Input]]:
    """Which array is for which input."""
    if len(keys) == len(inputs) == 1:
        return [(keys[0], inputs[0])]
    for input in inputs:
        if input.name not in keys:
            raise UserError(
                f"{where} has no array '{input.name}'"
                f"{did_you_mean(input.name, keys)} (it has {', '.join(keys) or 'none'})"
            )
    return [(input.name, input) for input in inputs]


def _checked(where: str, array: Array, input: Input, limit: int | None) -> Array:
    wanted = f"Nx{show(input.shape)}" if input.shape else "N"
    if input.shape[:1] == (1,):
        wanted += f" or Nx{show(input.shape[1:])}" if input.shape[1:] else " or N"
    short = input.shape[1:] if input.shape[:1] == (1,) else input.shape
    if input.shape and array.ndim == len(input.shape) and input.shape[0] > 1:
        # Batches of the size that the model takes, one after the other.
        if array.shape[1:] == input.shape[1:] and len(array) % input.shape[0] == 0:
            array = array.reshape(-1, *input.shape)
    if array.ndim == 0 or array.shape[1:] not in (input.shape, short):
        raise UserError(
            f"{where} has shape {show(array.shape)}, expected {wanted} (N samples)"
        )
    if len(array) == 0:
        raise UserError(f"{where} holds no samples")
    if array.dtype.kind not in ("iubf" if input.integers is None else "iub"):
        kind = "numbers" if input.integers is None else "integers"
        raise UserError(f"{where} holds {array.dtype}, expected {kind}")
    array = array[:limit]
    array = array.reshape(len(array), *input.shape)
    _check_values(where, array.reshape(len(array), -1), input)
    return array.astype(np.float32 if input.integers is None else np.int64, copy=False)


def _check_values(where: str, samples: Array, input: Input) -> None:
    """Raises `UserError` naming the first sample that is bad; reads few at a time."""
    step = max(1, PIECE // max(samples.shape[1], 1))
    count, first = 0, None
    for start in range(0, len(samples), step):
        bad = _bad(samples[start : start + step], input)
        count += int(bad.sum())
        if first is None and count:
            first = start + int(bad.any(axis=1).argmax())
    if count:
        kind = "NaN or infinite in float32"
        if input.integers is not None:
            kind = f"not in {input.integers.start} to {input.integers.stop - 1}"
        raise UserError(
            f"{where} holds {count} values that are {kind}, the first in sample {first}"
        )


def _bad(values: Array, input: Input) -> Array:
    """Whether a value is none of those that `input` takes."""
    if input.integers is not None:
        return (values < input.integers.start) | (values >= input.integers.stop)
    with np.errstate(over="ignore"):
        return ~np.isfinite(values.astype(np.float32, copy=False))


def random_samples(function: FuncOp, count: int, seed: int) -> list[Array]:
    """
    Standard normal numbers, and for integers what the function can take.

    Integers that index a table are uniform over its rows, others over {0, 1}.
    """
    rng = np.random.default_rng(seed)
    result: list[Array] = []
    for argument, input in zip(function.args, inputs_of(function), strict=True):
        shape = (count, *input.shape)
        if input.integers is not None:
            result.append(rng.integers(0, _rows(argument), shape))
        else:
            result.append(rng.standard_normal(shape, dtype=np.float32))
    return result


def encode_inputs(function: FuncOp, samples: Sequence[Array]) -> list[Array]:
    """Numbers as the interpreter holds them in the arguments' formats."""
    return [
        element.held(array)
        if isinstance(element := element_of(argument), ElementType)
        else array
        for argument, array in zip(function.args, samples, strict=True)
    ]


def _rows(indices: SSAValue) -> int:
    """The number of values that `indices` may have."""
    bounds: list[int] = []
    for use in indices.uses:
        match use.operation:
            case EmbeddingOp():
                bounds.append(shape_of(use.operation.weight)[0])
            case GatherOp() as op if use.index == 1:
                bounds.append(shape_of(op.input)[op.axis.value.data])
            case SameElementOp() as op:
                bounds.append(_rows(op.result))
            case _:
                continue
    return min(bounds, default=2)
