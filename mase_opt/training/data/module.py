"""The data module: splits, batches and workers for any data set."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import lightning
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset

from mase_opt.lib.errors import UserError
from mase_opt.training.find import find_dataset
from mase_opt.training.registry import (
    DataRequest,
    DatasetInfo,
    Splits,
)

LOOKED_AT = 512
"""Samples whose labels are looked at of data that does not lie in memory."""


class InMemory(Dataset[tuple[Tensor, ...]]):
    """Tensors of samples and labels; a batch is one indexing of each."""

    def __init__(self, *tensors: Tensor):
        self.tensors = tensors

    def __len__(self) -> int:
        return len(self.tensors[0])

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        return tuple(tensor[index] for tensor in self.tensors)

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, ...]:
        chosen = torch.as_tensor(indices)
        return tuple(tensor[chosen] for tensor in self.tensors)


@dataclass(frozen=True)
class LoaderOptions:
    """How batches are made."""

    batch_size: int = 128
    batch_size_eval: int | None = None
    """None: `batch_size`."""
    num_workers: int | None = None
    """Processes that load; None: all CPUs, and none for what lies in memory."""
    val_percent: float = 0.2
    """The share of the training split that validation gets if it has no data."""
    test_percent: float = 0.2
    """The share that testing gets if it has no data."""
    pin_memory: bool = False
    drop_last: bool = False
    shuffle_eval: bool = False


class MaseDataModule(lightning.LightningDataModule):
    """
    A data set by name, or `Splits`, as loaders.

    `arguments` go to the data set's function. What is missing of validation and test
    data is split off the training data, by `seed`. Raises `UserError` where data is
    absent, damaged, or has labels outside its classes.
    """

    def __init__(
        self,
        name: str | Splits,
        batch_size: int = 128,
        model_name: str | None = None,
        num_workers: int | None = None,
        *,
        options: LoaderOptions | None = None,
        folder: str | Path = "data",
        max_token_len: int = 512,
        seed: int = 0,
        arguments: Mapping[str, Any] | None = None,
    ):
        super().__init__()
        self.dataset_name = name if isinstance(name, str) else "data"
        self.options = options or LoaderOptions(batch_size, num_workers=num_workers)
        self._source = name
        self._request = DataRequest(Path(folder), model_name, max_token_len, seed)
        self._arguments = arguments
        self._splits: Splits | None = None

    def prepare_data(self) -> None:
        """Nothing is downloaded: data sets are loaded by `setup`."""

    def setup(self, stage: str | None = None) -> None:
        """Load and split the data, once."""
        if self._splits is not None:
            return
        info: DatasetInfo | None = None
        if isinstance(self._source, Splits):
            splits = self._source
        else:
            entry = find_dataset(self._source)
            splits, info = entry(self._request, self._arguments), entry.info
        parts = [
            None if part is None else _as_dataset(self.dataset_name, part)
            for part in (splits.train, splits.val, splits.test, splits.pred)
        ]
        train, val, test, pred = parts
        assert train is not None, "Splits has no default for it"
        train, val, test = self._divided(train, val, test)
        self._info = splits.info or info or _seen(self.dataset_name, train)
        for part, dataset in (("training", train), ("validation", val), ("test", test)):
            self._check(part, dataset)
        self._splits = replace(splits, train=train, val=val, test=test, pred=pred)

    def _divided(
        self, train: Dataset[Any], val: Dataset[Any] | None, test: Dataset[Any] | None
    ) -> tuple[Dataset[Any], Dataset[Any], Dataset[Any]]:
        """The splits, with what is missing taken from the training split."""
        count = _length(train)
        wanted = {
            "val": 0 if val is not None else round(self.options.val_percent * count),
            "test": 0 if test is not None else round(self.options.test_percent * count),
        }
        kept = count - sum(wanted.values())
        if kept < 1:
            raise UserError(
                f"data set '{self.dataset_name}' has {count} training samples: none "
                "are left beside --val-percent and --test-percent"
            )
        generator = torch.Generator().manual_seed(self._request.seed)
        order = torch.randperm(count, generator=generator)
        sizes = [kept, wanted["val"], wanted["test"]]
        own, for_val, for_test = (
            _subset(train, chosen) for chosen in torch.split(order, sizes)
        )
        own = train if kept == count else own
        return own, for_val if val is None else val, for_test if test is None else test

    def _check(self, part: str, dataset: Dataset[Any]) -> None:
        """Raise the `UserError` of samples and labels that a model cannot take."""
        where = f"data set '{self.dataset_name}', {part} data"
        if _length(dataset) == 0:
            raise UserError(f"{where}: there are no samples")
        classes = self._info.num_classes
        if classes is None or self._info.task != "classification":
            return
        if (labels := _labels(dataset)) is None:
            return
        wrong = (labels < 0) | (labels >= classes)
        if bool(wrong.any()):
            first = int(wrong.int().argmax())
            raise UserError(
                f"{where}: {int(wrong.sum())} of {len(labels)} labels are outside 0 to "
                f"{classes - 1}, the first is {int(labels[first])}, of sample {first}"
            )

    @property
    def splits(self) -> Splits:
        """The data sets, all of them there."""
        self.setup()
        assert self._splits is not None
        return self._splits

    @property
    def dataset_info(self) -> DatasetInfo:
        """What a model has to know of the data."""
        self.setup()
        return self._info

    def train_dataloader(self) -> DataLoader[Any]:
        """Batches of the training split, in a new order each epoch."""
        return self._loader(self.splits.train, training=True)

    def val_dataloader(self) -> DataLoader[Any]:
        """Batches of the validation split."""
        return self._loader(self.splits.val)

    def test_dataloader(self) -> DataLoader[Any]:
        """Batches of the test split."""
        return self._loader(self.splits.test)

    def predict_dataloader(self) -> DataLoader[Any]:
        """Batches to predict for: of the test split if there are no others."""
        splits = self.splits
        return self._loader(splits.test if splits.pred is None else splits.pred)

    def _loader(self, dataset: Dataset[Any], training: bool = False) -> DataLoader[Any]:
        options = self.options
        in_memory = isinstance(dataset, InMemory)
        workers = options.num_workers
        if workers is None:
            workers = 0 if in_memory else os.cpu_count() or 0
        size = options.batch_size
        if not training and options.batch_size_eval is not None:
            size = options.batch_size_eval
        return DataLoader(
            dataset,
            batch_size=size,
            shuffle=training or options.shuffle_eval,
            num_workers=workers,
            collate_fn=self._collate(training) if in_memory else self.splits.collate,
            pin_memory=options.pin_memory,
            drop_last=options.drop_last and training,
            persistent_workers=workers > 0,
        )

    def _collate(self, training: bool) -> Callable[[Any], Any]:
        """What `InMemory` gives is a batch already, but for `prepare`."""
        splits = self.splits
        if splits.collate is not None:
            return splits.collate
        if splits.prepare is None:
            return _whole
        return partial(_prepared, splits.prepare, training)

    def samples(self, split: str = "train", count: int | None = None) -> dict[str, Any]:
        """
        Inputs and `labels` of a split as arrays, the first `count` samples.

        What `mase_opt.Model` calibrates with and runs on; inputs are `x`, or named as
        in batches that are mappings.
        """
        dataset = getattr(self.splits, split)
        chosen = _subset(dataset, torch.arange(min(count or 1 << 62, _length(dataset))))
        batches = list(self._loader(chosen))
        names = (*(self.dataset_info.names or ("x",)), "labels")
        columns = [
            [batch[name] for batch in batches]
            if isinstance(batches[0], Mapping)
            else [batch[min(index, len(batch) - 1)] for batch in batches]
            for index, name in enumerate(names)
        ]
        return {
            name: torch.cat(column).numpy()
            for name, column in zip(names, columns, strict=True)
        }


class InputGenerator(Iterator[dict[str, Tensor]]):
    """
    Batches as the keyword arguments of a model, without their labels.

    `which_dataloader` is `train`, `val`, `test` or `predict`.
    """

    def __init__(
        self,
        data_module: MaseDataModule,
        model_info: Any = None,
        task: str = "classification",
        which_dataloader: str = "train",
    ):
        loader = getattr(data_module, f"{which_dataloader}_dataloader", None)
        if loader is None:
            raise UserError(
                f"which_dataloader is '{which_dataloader}', expected train, val, test "
                "or predict"
            )
        self._batches = iter(loader())

    def __next__(self) -> dict[str, Tensor]:
        batch = next(self._batches)
        if isinstance(batch, Mapping):
            named = cast("Mapping[str, Tensor]", batch)
            return {key: value for key, value in named.items() if key != "labels"}
        return {"x": batch[0]}


def _whole(batch: Any) -> Any:
    return batch


def _prepared(prepare: Callable[[Any, bool], Any], training: bool, batch: Any) -> Any:
    return prepare(batch[0], training), *batch[1:]


def _length(dataset: Dataset[Any]) -> int:
    return len(cast(Any, dataset))


def _as_dataset(name: str, part: Any) -> Dataset[Any]:
    """A data set of torch's, or of arrays or tensors `x, y`."""
    if isinstance(part, Dataset):
        return cast("Dataset[Any]", part)
    arrays: tuple[Any, ...] = ()
    if isinstance(cast(object, part), tuple):
        arrays = part
    if len(arrays) == 2:
        x, y = (torch.as_tensor(np.ascontiguousarray(array)) for array in arrays)
        if len(x) != len(y):
            raise UserError(
                f"data set '{name}' has {len(x)} samples and {len(y)} labels"
            )
        return InMemory(x, y)
    raise UserError(
        f"data set '{name}' gives {type(part).__name__}, expected a "
        "torch.utils.data.Dataset or a tuple of arrays x, y"
    )


def _subset(dataset: Dataset[Any], chosen: Tensor) -> Dataset[Any]:
    if isinstance(dataset, InMemory):
        return InMemory(*(tensor[chosen] for tensor in dataset.tensors))
    return Subset(dataset, cast(Any, chosen).tolist())


def _labels(dataset: Dataset[Any]) -> Tensor | None:
    """
    The labels of data that has them at hand, and of the first samples of other data.

    At hand they are in memory, or from a method `labels`.
    """
    if isinstance(dataset, InMemory):
        return dataset.tensors[-1]
    if isinstance(dataset, Subset):
        held: Any = dataset.dataset
        if hasattr(held, "labels"):
            return torch.as_tensor(held.labels())[dataset.indices]
    if hasattr(dataset, "labels"):
        return torch.as_tensor(cast(Any, dataset).labels())
    count = min(_length(dataset), LOOKED_AT)
    try:
        last = [_label(dataset[index]) for index in range(count)]
        return torch.as_tensor(last)
    except (TypeError, ValueError, KeyError):
        return None


def _label(sample: Any) -> Any:
    if isinstance(sample, Mapping):
        return cast("Mapping[str, Any]", sample)["labels"]
    return sample[1]


def _seen(name: str, train: Dataset[Any]) -> DatasetInfo:
    """What the samples show of themselves."""
    sample: Any = train[0]
    if isinstance(sample, Mapping):
        named = cast("Mapping[str, Any]", sample)
        names = tuple(key for key in named if key != "labels")
        shape = tuple(torch.as_tensor(named[names[0]]).shape)
    else:
        names, shape = (), tuple(torch.as_tensor(sample[0]).shape)
    labels = _labels(train)
    if labels is None or labels.dtype.is_floating_point or labels.ndim != 1:
        raise UserError(
            f"data set '{name}' has no labels that are whole numbers: return Splits "
            "with its info"
        )
    return DatasetInfo(shape, int(labels.max()) + 1, names=names)
