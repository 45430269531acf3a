"""Small models: toy, jet substructure, digits, MNIST."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mase_opt.lib.errors import UserError
from mase_opt.training.registry import DatasetInfo, model

if TYPE_CHECKING:
    from torch import nn


def _classes(info: DatasetInfo) -> int:
    if info.num_classes is None:
        raise UserError("this model gives scores of classes, but the data has none")
    return info.num_classes


def _image(info: DatasetInfo, at_least: int) -> tuple[int, ...]:
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

    return Mlp((info.features, hidden, hidden, _classes(info)))


@model("jsc-tiny")
def jsc_tiny(info: DatasetInfo) -> nn.Module:
    """One linear layer between batch norm, ReLU and ReLU."""
    from torch import nn

    from mase_opt.training.models.nets import SeqBlocks

    return SeqBlocks(
        nn.BatchNorm1d(info.features),
        nn.ReLU(),
        nn.Linear(info.features, _classes(info)),
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

    return Mlp((info.features, *hidden, _classes(info)), norm=True)


@model("digits-mlp")
def digits_mlp(info: DatasetInfo, hidden: int = 32) -> nn.Module:
    """One hidden layer of 32."""
    from mase_opt.training.models.nets import Mlp

    return Mlp((info.features, hidden, _classes(info)))


@model("digits-cnn")
def digits_cnn(info: DatasetInfo, channels: int = 6) -> nn.Module:
    """A convolution of 6 channels with batch norm, pooling, and a linear layer."""
    from mase_opt.training.models.nets import DigitsCnn

    return DigitsCnn(_image(info, 2), _classes(info), channels)


@model("lenet5")
def lenet5(info: DatasetInfo) -> nn.Module:
    """LeNet-5 with ReLU and max pooling."""
    from mase_opt.training.models.nets import LeNet5

    return LeNet5(_image(info, 12), _classes(info))


@model("mnist-net")
def mnist_net(info: DatasetInfo, hidden: int = 50) -> nn.Module:
    """Two convolutions and a hidden layer of 50, for 28x28 images."""
    from mase_opt.training.models.nets import MnistNet

    return MnistNet(_image(info, 16), _classes(info), hidden)
