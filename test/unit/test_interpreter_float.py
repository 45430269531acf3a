"""Every op's meaning on floats: what torch computes, within float tolerance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from reference import value_of
from xdsl.dialects.builtin import f32, f64, i1, i64
from xdsl.ir import Attribute, Operation

from mase_opt.dialects.mase import elementwise, layers, normalization, pooling, shape
from mase_opt.lib.interpreters.mase import evaluate_op

torch = pytest.importorskip("torch", reason="torch is an optional dependency")
F: Any = torch.nn.functional

Array = NDArray[Any]
SPECIAL = [0.0, -0.0, 1e-30, 0.5, 3.0, 6.0, 90.0, -90.0, np.inf, -np.inf, np.nan]
SAMPLES = 3


def arrays(*shapes: Sequence[int]) -> list[Array]:
    """Normal numbers `[samples, *shape]` for each shape."""
    rng = np.random.default_rng(0)
    return [rng.normal(size=(SAMPLES, *s)).astype(np.float32) for s in shapes]


def elements_of(array: Array) -> Attribute:
    return {"f": f32 if array.dtype == np.float32 else f64, "i": i64, "b": i1}[
        array.dtype.kind
    ]


def check(
    make: Callable[..., Operation],
    inputs: Sequence[Array],
    function: Callable[..., Any],
    *,
    rtol: float = 1e-5,
    atol: float = 1e-6,
) -> None:
    """
    `make(*values)` computes `function` of torch tensors, sample by sample.

    Inputs with one sample are shared by the others.
    """
    values = [value_of(elements_of(a), a.shape[1:]) for a in inputs]
    op = make(*values)
    op.verify()
    result = evaluate_op(op, inputs)
    samples = max(len(a) for a in inputs)
    type: Any = op.results[0].type
    for sample in range(samples):
        tensors = [
            torch.from_numpy(np.array(a[0 if len(a) == 1 else sample])) for a in inputs
        ]
        wanted = np.asarray(function(*tensors))
        got = result[0 if len(result) == 1 else sample]
        assert got.shape == type.get_shape() == wanted.shape
        assert got.dtype == wanted.dtype
        np.testing.assert_allclose(got, wanted, rtol=rtol, atol=atol)


UNARY: dict[type[Operation], Callable[..., Any]] = {
    elementwise.NegOp: torch.neg,
    elementwise.AbsOp: torch.abs,
    elementwise.ReluOp: F.relu,
    elementwise.Relu6Op: F.relu6,
    elementwise.SigmoidOp: torch.sigmoid,
    elementwise.HardsigmoidOp: F.hardsigmoid,
    elementwise.TanhOp: torch.tanh,
    elementwise.SiluOp: F.silu,
    elementwise.HardswishOp: F.hardswish,
    elementwise.SoftplusOp: F.softplus,
    elementwise.ExpOp: torch.exp,
    elementwise.LogOp: torch.log,
    elementwise.SqrtOp: torch.sqrt,
    elementwise.RsqrtOp: torch.rsqrt,
    elementwise.ReciprocalOp: torch.reciprocal,
    elementwise.ErfOp: torch.erf,
    elementwise.SinOp: torch.sin,
    elementwise.CosOp: torch.cos,
    elementwise.FloorOp: torch.floor,
    elementwise.EluOp: F.elu,
    elementwise.GeluOp: F.gelu,
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("cls", UNARY)
def test_unary(cls: type[Operation], dtype: Any):
    (normal,) = arrays((len(SPECIAL),))
    x = np.concatenate([normal * 4, [SPECIAL]]).astype(dtype)
    # For some of these torch gives NaN where x is infinite.
    if cls in (elementwise.SiluOp, elementwise.HardswishOp, elementwise.GeluOp):
        x = np.where(np.isinf(x), 0, x).astype(dtype)
    check(cls, [x], UNARY[cls])


@pytest.mark.parametrize(
    ("make", "function"),
    [
        (lambda x: elementwise.LeakyReluOp(x, 0.2), lambda x: F.leaky_relu(x, 0.2)),
        (lambda x: elementwise.EluOp(x, 1.7), lambda x: F.elu(x, 1.7)),
        (
            lambda x: elementwise.GeluOp(x, "tanh"),
            lambda x: F.gelu(x, approximate="tanh"),
        ),
    ],
)
def test_unary_with_parameters(make: Any, function: Any):
    check(make, [arrays((4, 5))[0] * 3], function)


BINARY: dict[type[Operation], Callable[..., Any]] = {
    elementwise.AddOp: torch.add,
    elementwise.SubOp: torch.sub,
    elementwise.MulOp: torch.mul,
    elementwise.DivOp: torch.div,
    elementwise.MaximumOp: torch.maximum,
    elementwise.MinimumOp: torch.minimum,
    elementwise.PowOp: torch.pow,
}
SHAPES = [((2, 3), (2, 3)), ((2, 3), (3,)), ((), (5,)), ((), ()), ((7, 1, 2), (3, 1))]


@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize("cls", BINARY)
def test_binary(cls: type[Operation], shapes: tuple[Any, Any]):
    lhs, rhs = arrays(*shapes)
    check(cls, [lhs, rhs], BINARY[cls])
    check(cls, [lhs, rhs[:1]], BINARY[cls])
    check(cls, [lhs[:1], rhs], BINARY[cls])


@pytest.mark.parametrize("cls", BINARY)
def test_binary_special_values(cls: type[Operation]):
    values = np.array(SPECIAL, dtype=np.float32)
    lhs = np.broadcast_to(values[:, None], (len(values), len(values)))[None]
    check(cls, [lhs, values[None]], BINARY[cls])


@pytest.mark.parametrize("predicate", elementwise.PREDICATES)
def test_compare(predicate: str):
    values = np.array(SPECIAL, dtype=np.float32)
    lhs = np.broadcast_to(values[:, None], (len(values), len(values)))[None]
    check(
        lambda a, b: elementwise.CompareOp(a, b, predicate),
        [lhs, values[None]],
        getattr(torch, predicate),
    )


def test_select():
    lhs, rhs = arrays((2, 3), (1, 3))
    check(elementwise.SelectOp, [lhs > 0, lhs, rhs], torch.where)
    check(elementwise.SelectOp, [(lhs > 0)[:1], lhs[:1], rhs], torch.where)


@pytest.mark.parametrize("lead", [(), (1,), (2, 3)])
@pytest.mark.parametrize("per_sample", [False, True])
def test_linear(lead: tuple[int, ...], per_sample: bool):
    x, weight, bias = arrays((*lead, 7), (5, 7), (5,))
    own = SAMPLES if per_sample else 1
    check(layers.LinearOp, [x, weight[:own], bias[:own]], F.linear)
    check(layers.LinearOp, [x, weight[:own]], F.linear)


@pytest.mark.parametrize(
    "shapes",
    [
        ((3, 4), (4, 5)),
        ((2, 3, 4), (2, 4, 1)),
        ((2, 1, 3, 4), (5, 4, 2)),
        ((1, 1), (1, 1)),
    ],
)
def test_matmul(shapes: tuple[Any, Any]):
    lhs, rhs = arrays(*shapes)
    check(layers.MatmulOp, [lhs, rhs], torch.matmul)
    check(layers.MatmulOp, [lhs, rhs[:1]], torch.matmul)


CONVS = [
    {},
    {"stride": (2, 1), "padding": (1, 2)},
    {"dilation": (2, 1), "groups": 2},
    {"stride": (3, 2), "padding": (2, 0), "dilation": (1, 2), "groups": 4},
]


@pytest.mark.parametrize("options", CONVS)
@pytest.mark.parametrize("per_sample", [False, True])
@pytest.mark.parametrize("rank", [1, 2])
def test_conv(options: dict[str, Any], per_sample: bool, rank: int):
    groups = options.get("groups", 1)
    x, weight, bias = arrays(
        (2, 4, *(7, 6)[:rank]), (8, 4 // groups, *(3, 2)[:rank]), (8,)
    )
    options = {k: v if k == "groups" else v[:rank] for k, v in options.items()}
    own = SAMPLES if per_sample else 1
    cls = layers.Conv1dOp if rank == 1 else layers.Conv2dOp
    check(
        lambda *v: cls(
            *v,
            strides=options.get("stride"),
            padding=options.get("padding"),
            dilation=options.get("dilation"),
            groups=groups,
        ),
        [x, weight[:own], bias[:own]],
        lambda *t: (F.conv1d if rank == 1 else F.conv2d)(*t, **options),
    )


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stride": (2, 3), "padding": (1, 2), "output_padding": (1, 0)},
        {"dilation": (2, 1), "groups": 2, "padding": (3, 1)},
    ],
)
def test_conv_transpose(options: dict[str, Any]):
    groups = options.get("groups", 1)
    x, weight, bias = arrays((2, 4, 5, 3), (4, 3, 3, 4), (3 * groups,))
    check(
        lambda *v: layers.ConvTranspose2dOp(
            *v,
            strides=options.get("stride", (1, 1)),
            padding=options.get("padding", (0, 0)),
            output_padding=options.get("output_padding", (0, 0)),
            dilation=options.get("dilation", (1, 1)),
            groups=groups,
        ),
        [x, weight[:1], bias[:1]],
        lambda *t: F.conv_transpose2d(*t, **options),
    )


def test_chunks_of_a_convolution(monkeypatch: pytest.MonkeyPatch):
    """Samples that do not fit at once are taken one after the other."""
    from mase_opt.lib.interpreters import exact

    monkeypatch.setattr(exact, "CHUNK_BYTES", 1)
    x, weight = arrays((2, 3, 5, 5), (4, 3, 3, 3))
    check(layers.Conv2dOp, [x, weight[:1]], F.conv2d)


def test_embedding():
    (weight,) = arrays((11, 3))
    indices = np.array([[[0, 10]], [[3, 3]], [[7, 0]]])
    for own in (1, SAMPLES):
        check(
            layers.EmbeddingOp,
            [weight[:own], indices],
            lambda w, i: F.embedding(i, w),
        )


@pytest.mark.parametrize("size", [(2, 5), (2, 5, 7), (1, 5, 3, 4)])
def test_batch_norm(size: tuple[int, ...]):
    x, mean, variance, weight, bias = arrays(size, (5,), (5,), (5,), (5,))
    for own in (1, SAMPLES):
        check(
            lambda *v: normalization.BatchNormOp(*v, eps=1e-3),
            [x, mean[:own], variance[:own] ** 2, weight[:own], bias[:own]],
            lambda x, m, v, w, b: F.batch_norm(x, m, v, w, b, eps=1e-3),
        )


@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize("affine", [(), ("weight",), ("bias",), ("weight", "bias")])
def test_layer_norm(rank: int, affine: tuple[str, ...]):
    normalized = (3, 7)[-rank:]
    x, *parameters = arrays((2, 3, 7), *[normalized] * len(affine))
    check(
        lambda x, *v: normalization.LayerNormOp(
            x, **dict(zip(affine, v, strict=True)), rank=rank, eps=1e-5
        ),
        [x, *(p[:1] for p in parameters)],
        lambda x, *t: F.layer_norm(
            x, normalized, **dict(zip(affine, t, strict=True)), eps=1e-5
        ),
    )


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("affine", [False, True])
def test_group_norm(groups: int, affine: bool):
    x, *parameters = arrays((2, 4, 3, 5), *[(4,)] * (2 if affine else 0))
    check(
        lambda *v: normalization.GroupNormOp(*v, groups=groups, eps=1e-5),
        [x, *parameters],
        lambda x, *t: F.group_norm(x, groups, *t, eps=1e-5),
    )


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_softmax(axis: int):
    (x,) = arrays((2, 3, 5))
    x[0] *= 100
    x[1, 0, 0, :] = -np.inf
    check(
        lambda v: normalization.SoftmaxOp(v, axis),
        [x],
        lambda t: torch.softmax(t, axis),
    )


@pytest.mark.parametrize(
    ("mask", "causal"),
    [(None, False), (None, True), ("bool", False), ("float", False), ("row", False)],
)
def test_attention(mask: str | None, causal: bool):
    q, k, v, addend = arrays((2, 5, 4), (2, 7, 4), (2, 7, 3), (5, 7))
    inputs = [q, k, v]
    if mask is not None:
        chosen = addend if mask == "float" else addend > 0
        if mask == "row":  # of the query sees nothing
            chosen[:, 2] = False
        inputs.append(chosen)
    check(
        lambda *x: normalization.AttentionOp(*x, scale=0.3, causal=causal),
        inputs,
        lambda q, k, v, m=None: F.scaled_dot_product_attention(
            q, k, v, m, is_causal=causal, scale=0.3
        ),
    )


POOLS = [
    {"kernel_size": 2},
    {"kernel_size": (3, 2), "stride": (1, 2), "padding": (1, 1)},
    {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True},
    {"kernel_size": (2, 3), "stride": (3, 2), "ceil_mode": True},
]


def _pair(value: Any) -> tuple[int, int]:
    return value if isinstance(value, tuple) else (value, value)


@pytest.mark.parametrize("options", POOLS)
@pytest.mark.parametrize("size", [(8, 7), (5, 6)])
@pytest.mark.parametrize("kind", ["max", "avg", "avg inside"])
def test_pool(options: dict[str, Any], size: tuple[int, int], kind: str):
    kernel = _pair(options["kernel_size"])
    common = {
        "strides": _pair(options.get("stride", kernel)),
        "padding": _pair(options.get("padding", 0)),
        "ceil_mode": options.get("ceil_mode", False),
    }

    def make(value: Any) -> Operation:
        if kind == "max":
            return pooling.MaxPoolOp(value, kernel, **common)
        op = pooling.AvgPoolOp(value, kernel, **common)
        op.count_include_pad = type(op.ceil_mode).from_bool(kind == "avg")
        return op

    def function(tensor: Any) -> Any:
        if kind == "max":
            return F.max_pool2d(tensor, **options)
        return F.avg_pool2d(tensor, **options, count_include_pad=kind == "avg")

    check(make, arrays((1, 3, *size)), function)


def test_max_pool_with_dilation_and_nan():
    (x,) = arrays((1, 2, 9))
    x[0, 0, 0, 4] = np.nan
    check(
        lambda v: pooling.MaxPoolOp(v, (3,), strides=(2,), padding=(1,), dilation=(2,)),
        [x],
        lambda t: F.max_pool1d(t, 3, 2, 1, 2),
    )


@pytest.mark.parametrize("output", [(1, 1), (3, 2), (7, 5), (9, 11)])
def test_adaptive_pools(output: tuple[int, int]):
    x = arrays((1, 3, 7, 5))
    check(
        lambda v: pooling.AdaptiveAvgPoolOp(v, output),
        x,
        lambda t: F.adaptive_avg_pool2d(t, output),
    )
    check(
        lambda v: pooling.AdaptiveMaxPoolOp(v, output),
        x,
        lambda t: F.adaptive_max_pool2d(t, output),
    )


@pytest.mark.parametrize("kind", pooling.KINDS)
@pytest.mark.parametrize("axes", [(0,), (1, 2), (0, 1, 2)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_reduce(kind: str, axes: tuple[int, ...], keepdims: bool):
    function = {"max": torch.amax, "min": torch.amin}.get(kind) or getattr(torch, kind)
    check(
        lambda v: pooling.ReduceOp(v, kind, axes, keepdims=keepdims),
        arrays((2, 3, 5)),
        lambda t: function(t, axes, keepdim=keepdims),
    )


def test_argmax():
    (x,) = arrays((3, 7))
    x[0, 0, 2] = x[0, 0, 5] = 9
    x[1, 1, 3] = x[1, 1, 6] = np.nan
    for axis in (0, 1):
        check(
            lambda v, axis=axis: pooling.ArgmaxOp(v, axis),
            [x],
            lambda t, axis=axis: torch.argmax(t, axis),
        )


def test_moves():
    (x,) = arrays((2, 1, 5))
    indices = np.array([[4, -1, 0]])
    check(lambda v: shape.ReshapeOp(v, (5, 2)), [x], lambda t: t.reshape(5, 2))
    check(lambda v: shape.TransposeOp(v, (1, 2, 0)), [x], lambda t: t.permute(1, 2, 0))
    check(
        lambda v: shape.BroadcastOp(v, (3, 2, 4, 5)),
        [x],
        lambda t: t.expand(3, 2, 4, 5),
    )
    check(
        lambda v: shape.SliceOp(
            v, starts=(0, 0, 1), stops=(2, 1, 5), strides=(1, 1, 3)
        ),
        [x],
        lambda t: t[:, :, 1:5:3],
    )
    check(
        lambda v: shape.PadOp(v, low=(0, 1, 0), high=(0, 0, 2), value=0.1),
        [x],
        lambda t: F.pad(t, (0, 2, 1, 0), value=0.1),
    )
    check(lambda *v: shape.ConcatOp(v, 1), [x, x[:1]], lambda *t: torch.cat(t, 1))
    check(
        lambda v, i: shape.GatherOp(v, i, 2),
        [x, indices],
        lambda t, i: t[:, :, i],
    )


def test_casts():
    (x,) = arrays((4,))
    check(lambda v: elementwise.CastOp(v, element=f64), [x], lambda t: t.double())
    wide = x.astype(np.float64) * 1e30
    wide[0, 0] = 1e300
    check(lambda v: elementwise.CastOp(v, element=f32), [wide], lambda t: t.float())
    check(lambda v: elementwise.CastOp(v, element=f32), [x > 0], lambda t: t.float())
    check(
        lambda v: elementwise.CastOp(v, element=i1),
        [np.array([[0.0, -0.0, 0.1, np.nan]], dtype=np.float32)],
        lambda t: t.bool(),
    )
