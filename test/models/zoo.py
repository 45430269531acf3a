"""
The models that must import: 34 architectures in small configurations.

Each factory returns a module with seeded random weights (in evaluation mode) and
example inputs. torchvision, timm and transformers are needed for those that come from
there: the extra `models` installs them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from mase_opt.training import DatasetInfo, find_model
from mase_opt.training.torchvision_ops import declare_torchvision_ops

Model = tuple[nn.Module, tuple[torch.Tensor, ...] | Mapping[str, torch.Tensor]]

MODELS: dict[str, Callable[[], Model]] = {}
"""Factories by name."""

TABLED = {
    "cswin_64_tiny",
    "deit_tiny_224",
    "efficientnet_b0",
    "efficientnet_v2_s",
    "mobilenetv2",
    "mobilenetv3_small",
    "pvt",
    "pvt_v2_b0",
    "resnet18",
    "resnet50",
    "swin_tiny",
}
"""Models of `mase` that are among them."""


def _model(function: Callable[[], Model]) -> Callable[[], Model]:
    """Register a factory; weights, statistics and inputs become reproducible."""

    @functools.wraps(function)
    def build() -> Model:
        declare_torchvision_ops()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            module, inputs = function()
            for child in module.modules():
                if isinstance(child, nn.modules.batchnorm._BatchNorm):
                    assert child.running_mean is not None
                    assert child.running_var is not None
                    nn.init.normal_(child.running_mean, std=0.1)
                    nn.init.uniform_(child.running_var, 0.5, 1.5)
        return module.eval(), inputs

    MODELS[function.__name__] = build
    return build


def _image(size: int, channels: int = 3) -> tuple[torch.Tensor]:
    return (torch.randn(1, channels, size, size),)


def _tabled(name: str, size: int = 32, **options: Any) -> Model:
    """A model of `mase`, by its name there; `TABLED` has them."""
    module = find_model(name)(DatasetInfo((3, size, size), 10), arguments=options)
    return module, _image(size)


def _tokens(length: int = 8) -> torch.Tensor:
    return torch.randint(0, 100, (1, length))


# Small networks of our own.


@_model
def mlp() -> Model:
    """64-32-10 with relu, as in the digits example."""
    return (
        nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)),
        (torch.randn(2, 64),),
    )


@_model
def toy() -> Model:
    """Three linear layers on 1x2x2 inputs, two classes."""
    layers = nn.Sequential(
        nn.Flatten(),
        nn.Linear(4, 100),
        nn.ReLU(),
        nn.Linear(100, 100),
        nn.ReLU(),
        nn.Linear(100, 2),
    )
    return layers, (torch.randn(2, 1, 2, 2),)


@_model
def jsc_tiny() -> Model:
    """Jet substructure classification: batch norm, relu, linear, relu."""

    class JscTiny(nn.Module):
        def __init__(self):
            super().__init__()
            self.seq_blocks = nn.Sequential(
                nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 5), nn.ReLU()
            )

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.seq_blocks(x)

    return JscTiny(), (torch.randn(2, 16),)


@_model
def lenet() -> Model:
    """LeNet-5: LeCun et al., Gradient-based learning, 1998."""
    layers = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120),
        nn.Tanh(),
        nn.Linear(120, 84),
        nn.Tanh(),
        nn.Linear(84, 10),
    )
    return layers, _image(28, 1)


@_model
def mnist_net() -> Model:
    """A small MNIST classifier with dropout and log-probabilities."""

    class Net(nn.Module):
        def __init__(self, hidden: int = 12):
            super().__init__()
            self.conv1 = nn.Conv2d(1, 10, 5)
            self.conv2 = nn.Conv2d(10, 20, 5)
            self.dropout = nn.Dropout2d()
            self.fc1 = nn.Linear(320, hidden)
            self.fc2 = nn.Linear(hidden, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            f = nn.functional
            x = f.relu(f.max_pool2d(self.conv1(x), 2))
            x = f.relu(f.max_pool2d(self.dropout(self.conv2(x)), 2))
            x = f.relu(self.fc1(x.view(-1, 320)))
            x = f.dropout(x, training=self.training)
            return f.log_softmax(self.fc2(x), dim=1)

    return Net(), _image(28, 1)


@_model
def gan_generator() -> Model:
    """The generator of a small image-to-image GAN on 4x4 images."""
    layers = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.LeakyReLU(0.2),
        nn.ConvTranspose2d(16, 8, 4, stride=2, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 1, 4, stride=2, padding=1),
        nn.Tanh(),
    )
    return layers, _image(4, 1)


@_model
def gan_discriminator() -> Model:
    """The discriminator to `gan_generator`."""
    layers = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(16, 32, 3, stride=2, padding=1),
        nn.InstanceNorm2d(32, affine=True),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Linear(128, 1),
        nn.Sigmoid(),
    )
    return layers, _image(4, 1)


@_model
def cswin() -> Model:
    return _tabled(
        "cswin_64_tiny",
        64,
        dim=16,
        depths=(1, 1, 2, 1),
        heads=(2, 2, 4, 4),
        stripes=(1, 2, 2, 2),
    )


# torchvision


def _torchvision(name: str, size: int = 32) -> Model:
    import torchvision

    return getattr(torchvision.models, name)(num_classes=10), _image(size)


@_model
def resnet18() -> Model:
    return _torchvision("resnet18")


@_model
def resnet50() -> Model:
    return _tabled("resnet50")


@_model
def mobilenet_v2() -> Model:
    return _tabled("mobilenetv2")


@_model
def mobilenet_v3_small() -> Model:
    return _torchvision("mobilenet_v3_small")


@_model
def efficientnet_b0() -> Model:
    return _tabled("efficientnet_b0")


@_model
def efficientnet_v2_s() -> Model:
    return _torchvision("efficientnet_v2_s")


# Of the table of `mase`.


@_model
def resnet18_timm() -> Model:
    return _tabled("resnet18")


@_model
def mobilenet_v3_small_timm() -> Model:
    return _tabled("mobilenetv3_small")


@_model
def efficientnet_v2_s_timm() -> Model:
    return _tabled("efficientnet_v2_s")


@_model
def deit_tiny_timm() -> Model:
    return _tabled("deit_tiny_224", 64, depth=3)


@_model
def pvt_v2_b0() -> Model:
    return _tabled("pvt_v2_b0", 64)


@_model
def swin_tiny() -> Model:
    return _tabled("swin_tiny", 56, embed_dim=24, depths=(2, 2, 2, 2))


# transformers


@_model
def deit_tiny() -> Model:
    import transformers

    config = transformers.DeiTConfig(
        hidden_size=48,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=96,
        image_size=32,
        patch_size=8,
    )
    return transformers.DeiTForImageClassification(config), _image(32)


@_model
def pvt_v1() -> Model:
    return _tabled("pvt", 64, depths=[1, 1, 1, 1])


_SMALL = {
    "vocab_size": 100,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
}


def _bert(cls: str, attention: str, *, mask: bool = True) -> Model:
    import transformers

    config = transformers.BertConfig(**_SMALL, attn_implementation=attention)
    inputs = {"input_ids": _tokens()}
    if mask:
        inputs["attention_mask"] = torch.tensor([[1, 1, 1, 1, 1, 1, 0, 0]])
    return getattr(transformers, cls)(config), inputs


@_model
def bert_eager() -> Model:
    return _bert("BertForSequenceClassification", "eager")


@_model
def bert_sdpa() -> Model:
    return _bert("BertForSequenceClassification", "sdpa")


@_model
def bert_no_mask() -> Model:
    return _bert("BertForSequenceClassification", "eager", mask=False)


@_model
def bert_lm() -> Model:
    return _bert("BertForMaskedLM", "eager")


@_model
def roberta() -> Model:
    import transformers

    config = transformers.RobertaConfig(**_SMALL)
    tokens = 2 + torch.randint(0, 90, (1, 8))
    return transformers.RobertaForSequenceClassification(config), {"input_ids": tokens}


def _causal(config: Any, attention: str) -> Model:
    import transformers

    config.use_cache = False
    config._attn_implementation = attention
    model = transformers.AutoModelForCausalLM.from_config(config)
    return model, {"input_ids": _tokens()}


def _gpt2(attention: str) -> Model:
    import transformers

    config = transformers.GPT2Config(
        vocab_size=100, n_positions=64, n_embd=32, n_layer=2, n_head=4
    )
    return _causal(config, attention)


@_model
def gpt2_eager() -> Model:
    return _gpt2("eager")


@_model
def gpt2_sdpa() -> Model:
    return _gpt2("sdpa")


@_model
def gpt_neo() -> Model:
    import transformers

    config = transformers.GPTNeoConfig(
        vocab_size=100,
        max_position_embeddings=64,
        hidden_size=32,
        num_layers=2,
        num_heads=4,
        attention_types=[[["global", "local"], 1]],
        window_size=4,
    )
    return _causal(config, "eager")


@_model
def opt() -> Model:
    import transformers

    config = transformers.OPTConfig(
        vocab_size=100,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        ffn_dim=64,
        max_position_embeddings=64,
        word_embed_proj_dim=32,
    )
    return _causal(config, "sdpa")


@_model
def t5() -> Model:
    import transformers

    config = transformers.T5Config(
        vocab_size=100,
        d_model=32,
        d_kv=8,
        d_ff=64,
        num_layers=2,
        num_heads=4,
        use_cache=False,
        decoder_start_token_id=0,
    )
    model = transformers.T5ForConditionalGeneration(config)
    return model, {"input_ids": _tokens(), "decoder_input_ids": _tokens(4)}


def _llama(attention: str) -> Model:
    import transformers

    config = transformers.LlamaConfig(**_SMALL, num_key_value_heads=2)
    return _causal(config, attention)


@_model
def llama_eager() -> Model:
    return _llama("eager")


@_model
def llama_sdpa() -> Model:
    return _llama("sdpa")
