"""All models of the zoo import to mase IR and compute what torch computes."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from mase_opt.frontend.import_torch import import_torch
from mase_opt.lib.interpreters.mase import evaluate

torch = pytest.importorskip("torch", reason="needs the extra 'torch'")
zoo = pytest.importorskip("zoo")

OWN = (
    "mlp",
    "toy",
    "jsc_tiny",
    "lenet",
    "mnist_net",
    "gan_generator",
    "gan_discriminator",
    "cswin",
)
"""Models that need no other package."""

NAMES = [
    pytest.param(
        name,
        marks=[]
        if name in OWN
        else pytest.mark.skipif(
            any(find_spec(p) is None for p in ("timm", "torchvision", "transformers")),
            reason="needs the extra 'models'",
        ),
    )
    for name in zoo.MODELS
]


def tensors(outputs: Any) -> list[torch.Tensor]:
    """The tensors that a model returns, in order."""
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    values = outputs.to_tuple() if hasattr(outputs, "to_tuple") else outputs
    return [tensor for value in values for tensor in tensors(value)]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", NAMES)
def test_computes_what_torch_does(name: str) -> None:
    model, inputs = zoo.MODELS[name]()
    module = import_torch(model, inputs, name)
    module.verify()
    values = list(inputs.values() if isinstance(inputs, Mapping) else inputs)
    with torch.no_grad():
        outputs = model(**inputs) if isinstance(inputs, Mapping) else model(*inputs)
    expected = tensors(outputs)
    results = evaluate(module, [value.numpy()[None] for value in values])
    assert len(results) == len(expected)
    for result, want in zip(results, expected, strict=True):
        scale = float(want.abs().max())
        np.testing.assert_allclose(result[0], want, rtol=0, atol=5e-5 * scale)


def test_zoo_has_all_models() -> None:
    assert len(zoo.MODELS) == 34


def test_layers_are_named_after_modules() -> None:
    model, inputs = zoo.MODELS["cswin"]()
    module = import_torch(model, inputs)
    found = {
        op.properties["layer"].data
        for op in module.walk()
        if op.name in ("mase.linear", "mase.conv2d", "mase.layer_norm")
    }
    kinds = (torch.nn.Linear, torch.nn.Conv2d, torch.nn.LayerNorm)
    assert found == {
        path for path, layer in model.named_modules() if isinstance(layer, kinds)
    }


def test_weights_are_a_snapshot() -> None:
    """Training after the import leaves the IR alone."""
    model, inputs = zoo.MODELS["mlp"]()
    module = import_torch(model, inputs)
    before = [op.array().copy() for op in module.walk() if op.name == "mase.constant"]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    after = [op.array() for op in module.walk() if op.name == "mase.constant"]
    assert before
    assert all((a == b).all() for a, b in zip(before, after, strict=True))


def test_modes_are_restored() -> None:
    model, inputs = zoo.MODELS["jsc_tiny"]()
    model.train()
    model.seq_blocks[0].eval()
    before = [child.training for child in model.modules()]
    import_torch(model, inputs)
    assert [child.training for child in model.modules()] == before
