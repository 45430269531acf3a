"""Input data for a function: read from `.npz` and `.npy` files, or drawn at random."""

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
            for key, input in _matched(path, list(arrays), inputs)
        ]
    counts = {len(array) for array in samples}
    if len(counts) > 1:
        found = ", ".join(
            f"{len(a)} of '{i.name}'" for a, i in zip(samples, inputs, strict=True)
        )
        raise UserError(f"data '{path}' has as many samples of no two inputs: {found}")
    return samples


def load_labels(path: str, count: int) -> Array:
    """
    The class of each of `count` samples: the array `labels` or `y` of a `.npz` file.

    Raises `UserError` if there is none, or not a whole number for each sample.
    """
    with _opened(path) as file:
        keys = list(file) if isinstance(file, Mapping) else []
        key = next((k for k in ("labels", "y") if k in keys), None)
        if key is None or not isinstance(file, Mapping):
            raise UserError(
                f"data '{path}' has no array 'labels' or 'y' (it has "
                f"{', '.join(keys) or 'no names'}): add one, or leave --labels out"
            )
        labels = file[key]
    where = f"data '{path}', array '{key}'"
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
    path: str, keys: Sequence[str], inputs: Sequence[Input]
) -> list[tuple[str, Input]]:
    """Which array is for which input."""
    if len(keys) == len(inputs) == 1:
        return [(keys[0], inputs[0])]
    for input in inputs:
        if input.name not in keys:
            raise UserError(
                f"data '{path}' has no array '{input.name}'"
                f"{did_you_mean(input.name, keys)} (it has {', '.join(keys) or 'none'})"
            )
    return [(input.name, input) for input in inputs]


def _checked(where: str, array: Array, input: Input, limit: int | None) -> Array:
    wanted = f"Nx{show(input.shape)}" if input.shape else "N"
    if input.shape[:1] == (1,):
        wanted += f" or Nx{show(input.shape[1:])}" if input.shape[1:] else " or N"
    short = input.shape[1:] if input.shape[:1] == (1,) else input.shape
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
