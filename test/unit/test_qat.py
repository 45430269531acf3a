"""Quantization-aware training: gradients, masters, learned scales, and the way back."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from levels import Model
from qat import quantization_aware
from train import split
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, f32
from xdsl.transforms.canonicalize import CanonicalizePass

from mase_opt import load
from mase_opt.dialects.mase.attrs import DenseAttr, RoundingAttr
from mase_opt.dialects.mase.elementwise import CastOp
from mase_opt.dialects.mase.formats import ScaledType, element_type
from mase_opt.dialects.mase.layers import LinearOp
from mase_opt.dialects.mase.shape import ConstantOp, ReshapeOp
from mase_opt.dialects.mase.types import ElementType, FixedType, element_of
from mase_opt.frontend.from_torch import from_torch
from mase_opt.frontend.to_torch import MaseModule, to_torch
from mase_opt.frontend.to_torch.learned import LearnedScale
from mase_opt.lib.data.samples import encode_inputs
from mase_opt.lib.formats import (
    Binary,
    Fixed,
    MiniFloat,
    Overflow,
    RoundingMode,
    Scaled,
    ScaleLayout,
    Ternary,
)
from mase_opt.lib.interpreters.mase import evaluate, main_function
from mase_opt.pass_options import parse_flag_options

DIGITS = Path(__file__).parents[2] / "examples" / "digits"

ELEMENTS = [
    Fixed(3, 0),
    Fixed(8, 4),
    Fixed(4, 0, signed=False),
    MiniFloat(2, 1),
    Binary(),
    Ternary(0.3),
]


# ---- learned scales -----------------------------------------------------------------


@given(
    st.sampled_from(ELEMENTS),
    st.sampled_from(
        [ScaleLayout(), ScaleLayout(0), ScaleLayout(-1), ScaleLayout(1, 2)]
    ),
    st.integers(0, 2**32 - 1),
)
def test_learned_cast_is_the_cast(element: Any, layout: ScaleLayout, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scales = rng.uniform(0.01, 2, layout.scales_shape((3, 5)))
    format = Scaled(element, scales, layout)
    values = rng.normal(size=(4, 3, 5))
    got = LearnedScale(format).cast(
        torch.from_numpy(values), format, RoundingAttr.DEFAULT
    )
    assert np.array_equal(got.detach().numpy(), format.cast_samples(values))


def test_learned_cast_of_samples_that_may_not_overflow() -> None:
    format = Scaled(Ternary(), 0.5)
    rounding = RoundingAttr((RoundingMode.NEAREST_EVEN, Overflow.ERROR))
    values = torch.tensor([[0.1, -0.4], [3.0, -1.0]], dtype=torch.float64)
    got = LearnedScale(format).cast(values, format, rounding)
    assert got.tolist() == [[0.0, -0.5], [0.5, 0.0]]


@pytest.mark.parametrize(
    "layout", [ScaleLayout(), ScaleLayout(0), ScaleLayout(1, 2)], ids=str
)
def test_gradients_are_those_of_lsq(layout: ScaleLayout) -> None:
    format = Scaled(Fixed(3, 0), np.full(layout.scales_shape((2, 5)), 0.3), layout)
    learned = LearnedScale(format)
    values = torch.linspace(-2, 2, 30, dtype=torch.float64).reshape(3, 2, 5)
    values.requires_grad_()
    weight = torch.arange(30, dtype=torch.float64).reshape(3, 2, 5).cos()
    result = learned.cast(values, format, RoundingAttr.DEFAULT)
    (result * weight).sum().backward()
    # Esser et al., 2020, equations 3 to 5.
    scale = float(np.float32(0.3))
    v = values.detach().numpy() / scale
    inside = (v >= -4) & (v <= 3)
    assert values.grad is not None
    assert np.array_equal(values.grad.numpy(), np.where(inside, weight, 0))
    slope = np.where(inside, np.rint(v) - v, np.clip(v, -4, 3))
    parts = layout.parts((2, 5))
    count = 10 / math.prod(parts.grid)
    total = parts.total((slope * weight.numpy()).sum(0)) / math.sqrt(count * 3)
    assert learned.scale.grad is not None
    wanted = total.reshape(format.scales.shape)
    assert np.allclose(learned.scale.grad.numpy(), wanted, rtol=1e-5)
    assert np.abs(wanted).min() > 0


def test_scales_stay_positive() -> None:
    learned = LearnedScale(Scaled(Fixed(3, 0), 0.3))
    with torch.no_grad():
        learned.scale.fill_(-1.0)
    assert learned.format().scales > 0


def test_what_is_moved_shares_a_scale_and_arguments_keep_theirs() -> None:
    a, b = (ScaledType(Scaled(Fixed(8, 0), s)) for s in (0.5, 0.25))
    model = Model((a, (1, 4)))
    with model as (x,):
        weight = ConstantOp.of(np.eye(4, dtype=np.float32), f32, "w")
        first = CastOp(ReshapeOp(x, (2, 2)), element=b)
        flat = ReshapeOp(first, (1, 4))
        result = LinearOp(flat, CastOp(weight, element=b), element=b, layer="fc")
    net = to_torch(model.returns(result), learn_scales=True)
    assert set(net.scales) == {"cast", "w", "fc"}
    with torch.no_grad():
        net.scales["cast"].scale.fill_(0.125)
    module = from_torch(net)
    module.verify()
    types = [str(element_of(op.results[0])) for op in list(module.walk()) if op.results]
    assert sum("0.125" in t for t in types) == 2
    assert sum("0.25" in t for t in types) == 2


# ---- the way back -------------------------------------------------------------------


def quantized(options: str) -> tuple[ModuleOp, Context]:
    model = load(DIGITS / "mlp.mlir").calibrate(DIGITS / "mlp_calibration.npz")
    return model.apply("quantize", **parse_flag_options(options)).ir, Context()


@pytest.mark.parametrize(
    "options", ["width=4", 'format="scaled<fixed<4,0>,auto>"', "format=mxfp4_e2m1"]
)
def test_untrained_masters_give_the_codes_of_quantization(options: str) -> None:
    expected, ctx = quantized(options)
    module, _ = quantized(f"{options} masters=true")
    back = from_torch(to_torch(module, learn_scales=True))
    CanonicalizePass().apply(ctx, back)

    def constants(module: ModuleOp) -> dict[str, tuple[str, list[Any]]]:
        return {
            op.value.label: (str(element_of(op.result)), op.codes().tolist())
            for op in module.walk()
            if isinstance(op, ConstantOp)
        }

    assert constants(back) == constants(expected)
    assert all("mase" in element for element, _ in constants(back).values())


def test_parameters_go_back_under_their_labels() -> None:
    model = Model((FixedType(8, 4), (1, 2)))
    with model as (x,):
        weight = ConstantOp.of(np.ones((3, 2), np.float32), f32, "fc.weight")
        cast = CastOp(weight, element=FixedType(4, 2))
        result = LinearOp(x, cast, element=FixedType(8, 4))
    module = model.returns(result)
    net = to_torch(module)
    with torch.no_grad():
        dict(net.named_parameters())["fc.weight"].copy_(torch.arange(6).view(3, 2))
    back = from_torch(net)
    (constant,) = (op for op in back.walk() if isinstance(op, ConstantOp))
    assert constant.value.label == "fc.weight"
    assert constant.array().tolist() == [[0, 1], [2, 3], [4, 5]]
    # What was there before is as it was.
    assert weight.value == DenseAttr.from_array(np.ones((3, 2), np.float32))
    assert weight.array().tolist() == [[1, 1]] * 3


def test_copies_train_apart() -> None:
    module, _ = quantized('format="scaled<fixed<4,0>,auto>" masters=true')
    net = to_torch(module, learn_scales=True)
    other = copy.deepcopy(net)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(0.5)
    x = torch.rand(5, 64)
    assert not torch.equal(net(x), other(x))
    other.load_state_dict(net.state_dict())
    assert torch.equal(net(x), other(x))


# ---- training -----------------------------------------------------------------------


def same_codes(net: MaseModule | ModuleOp, x: np.ndarray) -> np.ndarray:
    """The numbers of a module's only result, as the interpreter computes them."""
    module = from_torch(net) if isinstance(net, MaseModule) else net
    function = main_function(module)
    (held,) = evaluate(module, encode_inputs(function, [x[:, None]]))
    returned = function.body.block.last_op
    assert returned is not None
    element = element_of(returned.operands[0])
    assert isinstance(element, ElementType)
    return element.numbers(held)[:, 0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "margin"),
    [
        ("format=scaled<fixed<3,0>,auto>", 0.01),
        ("weight-format=scaled<binary,auto,axis=0>", 0.2),
        ("weight-format=scaled<ternary,auto,axis=0>", 0.0),
    ],
)
def test_training_beats_quantization_alone(options: str, margin: float) -> None:
    result = quantization_aware("mlp", options, epochs=12, rate=3e-3)
    print(f"{options}: PTQ {result.ptq:.4f}, QAT {result.qat:.4f}")
    assert result.qat > result.ptq + margin
    assert result.qat > 0.9
    # The trained codes, evaluated by the interpreter, are that good.
    _, x, _, labels = split((64,))
    assert (same_codes(result.model.ir, x).argmax(1) == labels).mean() == result.qat
    assert not any(isinstance(op, CastOp) for op in result.model.ir.walk())


def test_the_element_type_of_every_learned_scale_prints() -> None:
    assert "0.3" in str(element_type(LearnedScale(Scaled(Fixed(3, 0), 0.3)).format()))
