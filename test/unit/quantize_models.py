"""Small models of every kind of layer, to quantize and to run."""

import re
import warnings

import numpy as np
from mase_text import parse
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp

from mase_opt.dialects.mase.types import ElementType, element_of
from mase_opt.lib.data.samples import encode_inputs
from mase_opt.lib.interpreters.mase import evaluate
from mase_opt.lib.model_function import model_function
from mase_opt.lib.transforms.mase_quantize import MaseQuantizePass


def quantize(module: ModuleOp, **options) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "no calibration data")
        MaseQuantizePass(**options).apply(Context(), module)
    module.verify()


def run(module: ModuleOp, inputs: list[np.ndarray]) -> np.ndarray:
    """The numbers that the function's only result has for inputs in numbers."""
    function = model_function(module)
    [result] = evaluate(module, encode_inputs(function, inputs))
    returned = function.get_return_op()
    assert returned is not None
    element = element_of(returned.operands[0])
    return element.numbers(result) if isinstance(element, ElementType) else result


def constant(rng: np.random.Generator, *shape: int) -> str:
    """The text of a constant."""
    dims = "x".join(map(str, (*shape, "f32")))
    resource = rng.uniform(0.2, 1, shape).astype(np.float32)
    values = ", ".join(repr(float(v)) for v in resource.ravel())
    return f"mase.constant <f32, [{values}]> : tensor<{dims}>"


def model(body: str, arguments: str, result: str) -> ModuleOp:
    rng = np.random.default_rng(0)
    lines = re.sub(
        r"CONST<([0-9x]+)>",
        lambda m: constant(rng, *map(int, m[1].split("x"))),
        body,
    )
    return parse(
        f"func.func @f({arguments}) -> {result} {{\n{lines}\n"
        f"func.return %y : {result}\n}}"
    )


VECTOR = "%x: tensor<1x6xf32>", "tensor<1x6xf32>"
IMAGE = "%x: tensor<1x4x6x6xf32>"
UNARY = (
    "neg abs relu relu6 sigmoid hardsigmoid tanh gelu silu hardswish softplus exp erf "
    "sin cos"
).split()

LAYERS = {
    "linear": (
        """%w = CONST<3x6>
           %b = CONST<3>
           %y = mase.linear %x, %w, %b
             : (tensor<1x6xf32>, tensor<3x6xf32>, tensor<3xf32>) -> tensor<1x3xf32>""",
        VECTOR[0],
        "tensor<1x3xf32>",
    ),
    "conv2d": (
        """%w = CONST<6x2x3x3>
           %b = CONST<6>
           %y = mase.conv2d %x, %w, %b {strides = array<i64: 2, 1>,
             padding = array<i64: 1, 0>, dilation = array<i64: 1, 2>, groups = 2 : i64}
             : (tensor<1x4x6x6xf32>, tensor<6x2x3x3xf32>, tensor<6xf32>)
             -> tensor<1x6x3x2xf32>""",
        IMAGE,
        "tensor<1x6x3x2xf32>",
    ),
    "conv_transpose2d": (
        """%w = CONST<4x2x2x2>
           %b = CONST<2>
           %y = mase.conv_transpose2d %x, %w, %b {strides = array<i64: 2, 2>,
             padding = array<i64: 0, 0>, output_padding = array<i64: 0, 0>,
             dilation = array<i64: 1, 1>}
             : (tensor<1x4x6x6xf32>, tensor<4x2x2x2xf32>, tensor<2xf32>)
             -> tensor<1x2x12x12xf32>""",
        IMAGE,
        "tensor<1x2x12x12xf32>",
    ),
    "batch_norm": (
        """%m = CONST<4>
           %v = CONST<4>
           %w = CONST<4>
           %b = CONST<4>
           %y = mase.batch_norm %x, %m, %v, %w, %b {eps = 1.0e-05 : f64}
             : (tensor<1x4x6x6xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>,
                tensor<4xf32>) -> tensor<1x4x6x6xf32>""",
        IMAGE,
        "tensor<1x4x6x6xf32>",
    ),
    "layer_norm": (
        """%w = CONST<6>
           %b = CONST<6>
           %y = mase.layer_norm %x : tensor<1x6xf32> weight %w : tensor<6xf32>
             bias %b : tensor<6xf32> {rank = 1 : i64, eps = 1.0e-05 : f64}
             -> tensor<1x6xf32>""",
        *VECTOR,
    ),
    "group_norm": (
        """%w = CONST<4>
           %b = CONST<4>
           %y = mase.group_norm %x : tensor<1x4x6x6xf32> weight %w : tensor<4xf32>
             bias %b : tensor<4xf32> {groups = 2 : i64, eps = 1.0e-05 : f64}
             -> tensor<1x4x6x6xf32>""",
        IMAGE,
        "tensor<1x4x6x6xf32>",
    ),
    "attention": (
        """%y = mase.attention %x, %x, %x {scale = 0.5 : f64, causal = true}
             : (tensor<1x5x4xf32>, tensor<1x5x4xf32>, tensor<1x5x4xf32>)
             -> tensor<1x5x4xf32>""",
        "%x: tensor<1x5x4xf32>",
        "tensor<1x5x4xf32>",
    ),
    "masked_attention": (
        """%m = CONST<5x5>
           %y = mase.attention %x, %x, %x mask %m {scale = 0.5 : f64}
             : (tensor<1x5x4xf32>, tensor<1x5x4xf32>, tensor<1x5x4xf32>,
                tensor<5x5xf32>) -> tensor<1x5x4xf32>""",
        "%x: tensor<1x5x4xf32>",
        "tensor<1x5x4xf32>",
    ),
    "conv1d": (
        """%w = CONST<5x2x3>
           %b = CONST<5>
           %y = mase.conv1d %x, %w, %b {strides = array<i64: 1>,
             padding = array<i64: 1>, dilation = array<i64: 1>}
             : (tensor<1x2x6xf32>, tensor<5x2x3xf32>, tensor<5xf32>)
             -> tensor<1x5x6xf32>""",
        "%x: tensor<1x2x6xf32>",
        "tensor<1x5x6xf32>",
    ),
    "adaptive_pools": (
        """%0 = mase.adaptive_max_pool %x {output_size = array<i64: 4, 3>}
             : (tensor<1x4x6x6xf32>) -> tensor<1x4x4x3xf32>
           %y = mase.adaptive_avg_pool %0 {output_size = array<i64: 2, 2>}
             : (tensor<1x4x4x3xf32>) -> tensor<1x4x2x2xf32>""",
        IMAGE,
        "tensor<1x4x2x2xf32>",
    ),
    "positive": (
        """%c = CONST<6>
           %0 = mase.abs %x : (tensor<1x6xf32>) -> tensor<1x6xf32>
           %1 = mase.add %0, %c : (tensor<1x6xf32>, tensor<6xf32>) -> tensor<1x6xf32>
           %2 = mase.sqrt %1 : (tensor<1x6xf32>) -> tensor<1x6xf32>
           %3 = mase.rsqrt %2 : (tensor<1x6xf32>) -> tensor<1x6xf32>
           %4 = mase.reciprocal %3 : (tensor<1x6xf32>) -> tensor<1x6xf32>
           %5 = mase.pow %4, %c : (tensor<1x6xf32>, tensor<6xf32>) -> tensor<1x6xf32>
           %y = mase.log %5 : (tensor<1x6xf32>) -> tensor<1x6xf32>""",
        *VECTOR,
    ),
    "select": (
        """%c = CONST<1x6>
           %0 = mase.compare %x, %c {predicate = "lt"}
             : (tensor<1x6xf32>, tensor<1x6xf32>) -> tensor<1x6xi1>
           %1 = mase.leaky_relu %x {negative_slope = 0.125 : f64}
             : (tensor<1x6xf32>) -> tensor<1x6xf32>
           %2 = mase.elu %x {alpha = 1.0 : f64} : (tensor<1x6xf32>) -> tensor<1x6xf32>
           %3 = mase.minimum %1, %2
             : (tensor<1x6xf32>, tensor<1x6xf32>) -> tensor<1x6xf32>
           %y = mase.select %0, %3, %c
             : (tensor<1x6xi1>, tensor<1x6xf32>, tensor<1x6xf32>)
             -> tensor<1x6xf32>""",
        *VECTOR,
    ),
    "matmul": (
        """%w = CONST<4x3>
           %y = mase.matmul %x, %w
             : (tensor<1x5x4xf32>, tensor<4x3xf32>) -> tensor<1x5x3xf32>""",
        "%x: tensor<1x5x4xf32>",
        "tensor<1x5x3xf32>",
    ),
    "embedding": (
        """%w = CONST<7x3>
           %y = mase.embedding %w, %x
             : (tensor<7x3xf32>, tensor<1x5xi64>) -> tensor<1x5x3xf32>""",
        "%x: tensor<1x5xi64>",
        "tensor<1x5x3xf32>",
    ),
    "softmax": (
        """%y = mase.softmax %x {axis = 1 : i64}
             : (tensor<1x6xf32>) -> tensor<1x6xf32>""",
        *VECTOR,
    ),
    "pools": (
        """%0 = mase.max_pool %x {kernel = array<i64: 2, 2>,
             strides = array<i64: 1, 1>, padding = array<i64: 1, 1>,
             dilation = array<i64: 1, 1>}
             : (tensor<1x4x6x6xf32>) -> tensor<1x4x7x7xf32>
           %1 = mase.avg_pool %0 {kernel = array<i64: 3, 3>,
             strides = array<i64: 2, 2>, padding = array<i64: 1, 1>,
             dilation = array<i64: 1, 1>}
             : (tensor<1x4x7x7xf32>) -> tensor<1x4x4x4xf32>
           %2 = mase.reduce %1 {kind = "mean", axes = array<i64: 3>}
             : (tensor<1x4x4x4xf32>) -> tensor<1x4x4xf32>
           %y = mase.reduce %2 {kind = "max", axes = array<i64: 2>}
             : (tensor<1x4x4xf32>) -> tensor<1x4xf32>""",
        IMAGE,
        "tensor<1x4xf32>",
    ),
    "binary": (
        """%c = CONST<6>
           %0 = mase.add %x, %c : (tensor<1x6xf32>, tensor<6xf32>) -> tensor<1x6xf32>
           %1 = mase.mul %0, %x : (tensor<1x6xf32>, tensor<1x6xf32>) -> tensor<1x6xf32>
           %2 = mase.sub %c, %1 : (tensor<6xf32>, tensor<1x6xf32>) -> tensor<1x6xf32>
           %3 = mase.maximum %2, %x
             : (tensor<1x6xf32>, tensor<1x6xf32>) -> tensor<1x6xf32>
           %y = mase.div %3, %c
             : (tensor<1x6xf32>, tensor<6xf32>) -> tensor<1x6xf32>""",
        *VECTOR,
    ),
    "shapes": (
        """%c = CONST<1x2>
           %0 = mase.slice %x {starts = array<i64: 0, 1>, stops = array<i64: 1, 6>,
             strides = array<i64: 1, 2>} : tensor<1x6xf32> -> tensor<1x3xf32>
           %1 = mase.pad %0 {low = array<i64: 0, 1>, high = array<i64: 0, 0>,
             value = 0.0 : f64} : tensor<1x3xf32> -> tensor<1x4xf32>
           %2 = mase.concat %1, %c {axis = 1 : i64}
             : (tensor<1x4xf32>, tensor<1x2xf32>) -> tensor<1x6xf32>
           %3 = mase.broadcast %2 : tensor<1x6xf32> -> tensor<2x6xf32>
           %4 = mase.transpose %3 {permutation = array<i64: 1, 0>}
             : tensor<2x6xf32> -> tensor<6x2xf32>
           %y = mase.reshape %4 : tensor<6x2xf32> -> tensor<1x12xf32>""",
        VECTOR[0],
        "tensor<1x12xf32>",
    ),
} | {
    name: (
        f"%y = mase.{name} %x : (tensor<1x6xf32>) -> tensor<1x6xf32>",
        *VECTOR,
    )
    for name in UNARY
}
