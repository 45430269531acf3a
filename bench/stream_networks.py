"""Small networks that bench_stream.py streams: U-Nets, cells, transformers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class Double(nn.Sequential):
    """Two convolutions, as everywhere in a U-Net."""

    def __init__(self, inputs: int, outputs: int):
        layers: list[nn.Module] = []
        for channels in (inputs, outputs):
            layers += [
                nn.Conv2d(channels, outputs, 3, padding=1),
                nn.BatchNorm2d(outputs),
                nn.ReLU(),
            ]
        super().__init__(*layers)


class UNet(nn.Module):
    """A U-Net of three levels, whose way up is "transposed", "nearest", "bilinear"."""

    def __init__(self, up: str, width: int = 8):
        super().__init__()
        self.up = up
        self.down1 = Double(1, width)
        self.down2 = Double(width, 2 * width)
        self.bottom = Double(2 * width, 4 * width)
        self.lift2 = self._lift(4 * width)
        self.up2 = Double(4 * width, 2 * width)
        self.lift1 = self._lift(2 * width)
        self.up1 = Double(2 * width, width)
        self.classes = nn.Conv2d(width, 2, 1)

    def _lift(self, channels: int) -> nn.Module:
        if self.up == "transposed":
            return nn.ConvTranspose2d(channels, channels // 2, 2, 2)
        return nn.Sequential(
            nn.Upsample(scale_factor=2, mode=self.up),
            nn.Conv2d(channels, channels // 2, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        first = self.down1(x)
        second = self.down2(functional.max_pool2d(first, 2))
        y = self.bottom(functional.max_pool2d(second, 2))
        y = self.up2(torch.cat([self.lift2(y), second], 1))
        y = self.up1(torch.cat([self.lift1(y), first], 1))
        return self.classes(y)


class Fan(nn.Module):
    """A residual block whose input goes three ways."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 16, 3, padding=1)
        self.wide = nn.Conv2d(16, 16, 3, padding=1)
        self.narrow = nn.Conv2d(16, 16, 1)
        self.fc = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.first(x))
        y = functional.relu(self.wide(x) + self.narrow(x) + x)
        return self.fc(y.mean([2, 3]))


class Recurrent(nn.Module):
    """A classifier of sequences by what a cell holds in the end."""

    def __init__(self, cell: Callable[..., nn.Module]):
        super().__init__()
        self.cell = cell(8, 16, batch_first=True)
        self.fc = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.cell(x)
        return self.fc(states[:, -1])


class Tokens(nn.Module):
    """A language model behind its embedding."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model
        for module in model.modules():
            # The importer finds no mapping for these.
            module._non_persistent_buffers_set.clear()  # pyright: ignore[reportPrivateUsage]

    def forward(self, x: Tensor) -> Tensor:
        return self.model(inputs_embeds=x)[0]


def bert() -> nn.Module:
    from mase_opt.training.torchvision_ops import declare_torchvision_ops

    declare_torchvision_ops()
    import transformers

    library: Any = transformers
    config = library.BertConfig(
        vocab_size=30,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        attn_implementation="eager",
    )
    return Tokens(library.BertModel(config, add_pooling_layer=False))


def llama() -> nn.Module:
    """With rotary positions, grouped queries, RMS norms and a gate."""
    from mase_opt.training.torchvision_ops import declare_torchvision_ops

    declare_torchvision_ops()
    import transformers

    library: Any = transformers
    config = library.LlamaConfig(
        vocab_size=30,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=32,
        attn_implementation="eager",
        use_cache=False,
    )
    return Tokens(library.LlamaModel(config))


def encoder() -> nn.Module:
    return nn.TransformerEncoderLayer(32, 2, 64, batch_first=True)


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], int]] = {
    "unet-transposed": (lambda: UNet("transposed"), (1, 16, 16), 128),
    "unet-nearest": (lambda: UNet("nearest"), (1, 16, 16), 128),
    "unet-bilinear": (lambda: UNet("bilinear"), (1, 16, 16), 128),
    "fan-of-three": (Fan, (3, 8, 8), 128),
    "rnn": (lambda: Recurrent(nn.RNN), (8, 8), 128),
    "lstm": (lambda: Recurrent(nn.LSTM), (8, 8), 128),
    "gru": (lambda: Recurrent(nn.GRU), (8, 8), 128),
    "encoder": (encoder, (6, 32), 32),
    "bert": (bert, (6, 16), 32),
    "llama": (llama, (6, 16), 32),
}
"""What makes a network, the shape of a sample, multipliers."""
