"""Small models: toy, jet substructure, digits, MNIST."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mase_opt.lib.errors import UserError
from mase_opt.training.registry import DatasetInfo, model

if TYPE_CHECKING:
    from torch import nn


def classes_of(info: DatasetInfo) -> int:
    if info.num_classes is None:
        raise UserError("this model gives scores of classes, but the data has none")
    return info.num_classes


def image_of(info: DatasetInfo, at_least: int) -> tuple[int, ...]:
    if info.image_size is None or min(info.image_size[1:]) < at_least:
        raise UserError(
            f"this model takes images of at least {at_least}x{at_least}, but samples "
            f"have shape {'x'.join(map(str, info.shape))}"
        )
    return info.image_size


@model("toy")
def toy(info: DatasetInfo, hidden: int = 100) -> nn.Module:
    """Two hidden layers of 100."""
    from mase_opt.training.models.nets import Mlp

    return Mlp((info.features, hidden, hidden, classes_of(info)))


TOY_LAYERS = ("linear1", "linear2", "linear3")


@model("toy-manual")
def toy_manual(
    info: DatasetInfo,
    config: Mapping[str, Mapping[str, Any]] | None = None,
    hidden: int = 100,
) -> nn.Module:
    """
    The same, each layer in formats of its own: `config` says them, layer by layer.

    Settings are those of `[passes.quantize]`; training keeps float masters. Raises
    `UserError` for missing and unknown layers.
    """
    import numpy as np
    import torch

    import mase_opt
    from mase_opt.training.models.nets import ToyManual

    given = dict(config or {})
    missing = [name for name in TOY_LAYERS if name not in given]
    if missing:
        raise UserError(
            f"model 'toy-manual' has no formats for {', '.join(missing)}: say them in "
            f"tables [model.config.{missing[0]}] and so on"
        )
    net = ToyManual((info.features, hidden, hidden, classes_of(info)))
    model = mase_opt.import_torch(net, (torch.zeros(1, *info.shape),), "toy_manual")
    # Numbers that are not given follow from samples of the toy data's kind.
    samples = np.random.default_rng(0).uniform(-1, 1, (256, *info.shape))
    model = model.calibrate(samples.astype(np.float32))
    layers = {name: dict(settings) for name, settings in given.items()}
    return model.quantize({"by": "name", "layers": layers}, masters=True).to_torch()


@model("jsc-tiny")
def jsc_tiny(info: DatasetInfo) -> nn.Module:
    """One linear layer between batch norm, ReLU and ReLU."""
    from torch import nn

    from mase_opt.training.models.nets import SeqBlocks

    return SeqBlocks(
        nn.BatchNorm1d(info.features),
        nn.ReLU(),
        nn.Linear(info.features, classes_of(info)),
        nn.ReLU(),
    )


@model("jsc-toy")
def jsc_toy(info: DatasetInfo) -> nn.Module:
    """Hidden layers of 8 and 8, batch norm behind each layer."""
    return _jsc(info, (8, 8))


@model("jsc-s")
def jsc_s(info: DatasetInfo) -> nn.Module:
    """Hidden layers of 64, 32, 32 and 32, batch norm behind each layer."""
    return _jsc(info, (64, 32, 32, 32))


def _jsc(info: DatasetInfo, hidden: tuple[int, ...]) -> nn.Module:
    from mase_opt.training.models.nets import Mlp

    return Mlp((info.features, *hidden, classes_of(info)), norm=True)


@model("digits-mlp")
def digits_mlp(info: DatasetInfo, hidden: int = 32) -> nn.Module:
    """One hidden layer of 32."""
    from mase_opt.training.models.nets import Mlp

    return Mlp((info.features, hidden, classes_of(info)))


@model("digits-cnn")
def digits_cnn(info: DatasetInfo, channels: int = 6) -> nn.Module:
    """A convolution of 6 channels with batch norm, pooling, and a linear layer."""
    from mase_opt.training.models.nets import DigitsCnn

    return DigitsCnn(image_of(info, 2), classes_of(info), channels)


@model("lenet5")
def lenet5(info: DatasetInfo) -> nn.Module:
    """LeNet-5 with ReLU and max pooling."""
    from mase_opt.training.models.nets import LeNet5

    return LeNet5(image_of(info, 12), classes_of(info))


@model("mnist-net")
def mnist_net(info: DatasetInfo, hidden: int = 50) -> nn.Module:
    """Two convolutions and a hidden layer of 50, for 28x28 images."""
    from mase_opt.training.models.nets import MnistNet

    return MnistNet(image_of(info, 16), classes_of(info), hidden)
