"""
The mase dialect: quantized neural networks on tensors, formats in the types.

See RATIONALE.md for the decisions behind it.
"""

from xdsl.ir import Dialect

from mase_opt.dialects.mase import (
    attrs,
    elementwise,
    formats,
    layers,
    normalization,
    pooling,
    shape,
    types,
)
from mase_opt.dialects.mase.resources import RESOURCES

Mase = Dialect(
    "mase",
    [
        # constants and casts
        shape.ConstantOp,
        elementwise.CastOp,
        # layers
        layers.LinearOp,
        layers.MatmulOp,
        layers.Conv1dOp,
        layers.Conv2dOp,
        layers.ConvTranspose2dOp,
        layers.EmbeddingOp,
        normalization.BatchNormOp,
        normalization.LayerNormOp,
        normalization.GroupNormOp,
        normalization.SoftmaxOp,
        normalization.AttentionOp,
        pooling.MaxPoolOp,
        pooling.AvgPoolOp,
        pooling.AdaptiveAvgPoolOp,
        pooling.AdaptiveMaxPoolOp,
        pooling.ReduceOp,
        pooling.ArgmaxOp,
        layers.LookupOp,
        # elementwise
        elementwise.NegOp,
        elementwise.AbsOp,
        elementwise.ReluOp,
        elementwise.Relu6Op,
        elementwise.LeakyReluOp,
        elementwise.EluOp,
        elementwise.SigmoidOp,
        elementwise.HardsigmoidOp,
        elementwise.TanhOp,
        elementwise.GeluOp,
        elementwise.SiluOp,
        elementwise.HardswishOp,
        elementwise.SoftplusOp,
        elementwise.ExpOp,
        elementwise.LogOp,
        elementwise.SqrtOp,
        elementwise.RsqrtOp,
        elementwise.ReciprocalOp,
        elementwise.ErfOp,
        elementwise.SinOp,
        elementwise.CosOp,
        elementwise.FloorOp,
        elementwise.AddOp,
        elementwise.SubOp,
        elementwise.MulOp,
        elementwise.DivOp,
        elementwise.MaximumOp,
        elementwise.MinimumOp,
        elementwise.PowOp,
        elementwise.CompareOp,
        elementwise.SelectOp,
        elementwise.AndOp,
        elementwise.OrOp,
        elementwise.XorOp,
        # shape
        shape.ReshapeOp,
        shape.TransposeOp,
        shape.BroadcastOp,
        shape.ConcatOp,
        shape.SliceOp,
        shape.PadOp,
        shape.GatherOp,
    ],
    [
        attrs.DenseAttr,
        attrs.RoundingAttr,
        attrs.CalibrationAttr,
        types.FixedType,
        types.UFixedType,
        formats.MiniFloatType,
        formats.LogType,
        formats.BinaryType,
        formats.TernaryType,
        formats.ScaledType,
        formats.BlockType,
    ],
    [RESOURCES],
)
