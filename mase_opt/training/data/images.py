"""Images from files: CIFAR, MNIST, ImageNet's folders."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mase_opt.lib.errors import UserError
from mase_opt.training.data.expected import cut, folder_of, found, read_bytes
from mase_opt.training.registry import DataRequest, DatasetInfo, Splits, dataset

if TYPE_CHECKING:
    from torch import Tensor

Array = NDArray[Any]
CIFAR_ORIGIN = "https://www.cs.toronto.edu/~kriz/cifar.html (the version for Python)"
CIFAR_MEAN, CIFAR_DEVIATION = (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)
IMAGE_ENDINGS = (".jpeg", ".jpg", ".png")
IDX_UINT8 = 0x08
PADDING = 4
"""Pixels around images that are cropped at random."""


# CIFAR.


@dataset("cifar10", info=DatasetInfo((3, 32, 32), 10))
def cifar10(request: DataRequest, augment: bool = True) -> Splits:
    """60,000 photos of ten things, 32x32 pixels; crops and mirror images to train."""
    batches = [f"data_batch_{number}" for number in range(1, 6)]
    folder = folder_of(
        request.folder,
        "cifar-10-batches-py",
        *batches,
        "test_batch",
        origin=CIFAR_ORIGIN,
    )
    parts = [_cifar(found(folder, name), b"labels") for name in batches]
    x, y = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    test = _cifar(found(folder, "test_batch"), b"labels")
    return Splits((x, y), test=test, prepare=CifarPixels(augment))


@dataset("cifar100", info=DatasetInfo((3, 32, 32), 100))
def cifar100(request: DataRequest, augment: bool = True) -> Splits:
    """60,000 photos of a hundred things, 32x32 pixels."""
    folder = folder_of(
        request.folder, "cifar-100-python", "train", "test", origin=CIFAR_ORIGIN
    )
    train, test = (
        _cifar(found(folder, name), b"fine_labels") for name in ("train", "test")
    )
    return Splits(train, test=test, prepare=CifarPixels(augment))


class _Arrays(pickle.Unpickler):
    """Reads pickles of plain values and NumPy's arrays; runs nothing else."""

    ALLOWED: Mapping[str, Sequence[str]] = {
        "numpy": ("ndarray", "dtype"),
        "numpy.core.multiarray": ("_reconstruct",),
        "numpy._core.multiarray": ("_reconstruct",),
        "_codecs": ("encode",),
    }

    def find_class(self, module: str, name: str) -> Any:
        """Raises `UnpicklingError` for all others."""
        if name not in self.ALLOWED.get(module, ()):
            raise pickle.UnpicklingError(f"it holds {module}.{name}")
        return super().find_class(module, name)


def _cifar(path: Path, labels: bytes) -> tuple[Array, Array]:
    """Pixels `[N, 3, 32, 32]` in 8 bits, and classes."""
    try:
        held: Any = _Arrays(BytesIO(read_bytes(path)), encoding="bytes").load()
        x = np.asarray(held[b"data"], np.uint8).reshape(-1, 3, 32, 32)
        y = np.asarray(held[labels], np.int64)
    except (EOFError, KeyError, TypeError, ValueError, pickle.PickleError) as error:
        raise cut(path, f"{type(error).__name__}: {error}") from error
    if len(x) != len(y):
        raise cut(path, f"{len(x)} images and {len(y)} labels")
    return x, y


class CifarPixels:
    """Pixels in 8 bits to numbers near 0 and 1; in training, cropped and mirrored."""

    def __init__(self, augment: bool):
        self._augment = augment

    def __call__(self, x: Tensor, training: bool) -> Tensor:
        """Of a batch `[N, 3, 32, 32]`."""
        import torch

        mean, deviation = (
            torch.tensor(values).reshape(1, 3, 1, 1)
            for values in (CIFAR_MEAN, CIFAR_DEVIATION)
        )
        if training and self._augment:
            x = _cropped_and_mirrored(x)
        return (x / 255 - mean) / deviation


def _cropped_and_mirrored(x: Tensor) -> Tensor:
    """Each moved by up to `PADDING` pixels, black behind it; half of them mirrored."""
    import torch
    from torch.nn.functional import pad

    n, _, height, width = x.shape
    padded = pad(x, (PADDING,) * 4)
    down, across = torch.randint(0, 2 * PADDING + 1, (2, n, 1))
    rows = down + torch.arange(height)
    columns = across + torch.arange(width)
    mirrored = torch.rand(n, 1) < 0.5
    columns = torch.where(mirrored, columns.flip(1), columns)
    images = torch.arange(n)[:, None, None]
    cropped = padded[images, :, rows[:, :, None], columns[:, None, :]]
    return cropped.permute(0, 3, 1, 2)


# MNIST.


@dataset("mnist", info=DatasetInfo((1, 28, 28), 10))
def mnist(request: DataRequest) -> Splits:
    """70,000 handwritten digits, 28x28 pixels."""
    parts = {
        f"{part}-{kind}": f"{part}-{kind}-ubyte*"
        for part in ("train", "t10k")
        for kind in ("images-idx3", "labels-idx1")
    }
    folder = folder_of(
        request.folder,
        "mnist",
        *parts.values(),
        origin="the MNIST database, packed (.gz) or not",
    )
    held = {
        key: _idx(found(folder, f"{key}-ubyte", f"{key}-ubyte.gz")) for key in parts
    }
    splits: list[tuple[Array, Array]] = []
    for part in ("train", "t10k"):
        x, y = held[f"{part}-images-idx3"], held[f"{part}-labels-idx1"]
        if x.shape[1:] != (28, 28) or y.ndim != 1:
            raise UserError(
                f"'{folder}', {part}: images of shape {x.shape[1:]} and labels of "
                f"shape {y.shape[1:]}, expected 28x28 pixels and a number"
            )
        splits.append((x[:, None], y.astype(np.int64)))
    return Splits(splits[0], test=splits[1], prepare=grey)


def grey(x: Tensor, training: bool) -> Tensor:
    """Pixels in 8 bits to numbers from 0 to 1."""
    return x / 255


def _idx(path: Path) -> Array:
    """An array of an idx file of bytes."""
    data = read_bytes(path)
    if len(data) < 4 or data[:3] != bytes((0, 0, IDX_UINT8)):
        raise UserError(
            f"'{path}' begins with {data[:4]!r}: it is no idx file of bytes"
        )
    rank = data[3]
    start = 4 + 4 * rank
    if len(data) < start:
        raise cut(path, f"{len(data)} bytes, and the header alone has {start}")
    shape = tuple(np.frombuffer(data[4:start], ">u4").tolist())
    values = np.frombuffer(data, np.uint8, offset=start)
    if len(values) != np.prod(shape):
        raise cut(path, f"{len(values)} bytes for shape {'x'.join(map(str, shape))}")
    return values.reshape(shape).copy()


# ImageNet.


@dataset(
    "imagenet",
    info=DatasetInfo((3, 224, 224), 1000),
    needs=("PIL", "timm", "torchvision"),
)
def imagenet(
    request: DataRequest,
    size: int = 224,
    classes: int | None = None,
    subset: int | None = None,
) -> Splits:
    """
    Photos in folders of their classes, `train/` and `val/`, which is also tested with.

    `classes` takes the first ones by name, `subset` so many images of each; training
    images are augmented as timm does.
    """
    from timm.data.transforms_factory import create_transform

    from mase_opt.training.data.samples import Photos

    folder = folder_of(
        request.folder,
        "imagenet",
        "train/*/",
        "val/*/",
        origin="https://image-net.org, images in a folder for each class",
    )
    create: Any = create_transform
    names = sorted(path.name for path in (folder / "train").iterdir() if path.is_dir())
    names = names[:classes]
    for_training = create(
        size,
        is_training=True,
        color_jitter=0.4,
        auto_augment="rand-m9-mstd0.5-inc1",
        re_prob=0.25,
    )
    train = Photos(_photos(folder / "train", names, subset), for_training)
    val = Photos(_photos(folder / "val", names, subset), create(size))
    info = DatasetInfo((3, size, size), len(names))
    return Splits(train, val, val, info=info)


def _photos(
    folder: Path, names: Sequence[str], subset: int | None
) -> list[tuple[Path, int]]:
    """Images and their classes, the first `subset` of each class."""
    photos: list[tuple[Path, int]] = []
    for label, name in enumerate(names):
        place = folder / name
        if not place.is_dir():
            raise UserError(f"'{folder}' has no folder '{name}', which train/ has")
        images = [p for p in place.iterdir() if p.suffix.lower() in IMAGE_ENDINGS]
        photos += [(path, label) for path in sorted(images)[:subset]]
    if not photos:
        raise UserError(f"'{folder}' has no images ({', '.join(IMAGE_ENDINGS)})")
    return photos
