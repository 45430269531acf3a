"""
The part of torch-mlir's torch dialect that the front end reads.

Types, constants and lists have classes; all tensor ops share one definition, since
their meaning is given by the conversion. Follows torch-mlir 20261001 (`TorchTypes.td`,
`GeneratedTorchOps.td`). Text is generic form: torch-mlir turns its custom form into it.
A literal holds `#mase.dense` data once the front end has read it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from xdsl.dialects.builtin import (
    ArrayAttr,
    Float64Type,
    FloatAttr,
    IntAttr,
    IntegerAttr,
    IntegerType,
    NoneAttr,
    StringAttr,
)
from xdsl.ir import (
    Attribute,
    Dialect,
    ParametrizedAttribute,
    TypeAttribute,
)
from xdsl.irdl import (
    IRDLOperation,
    irdl_attr_definition,
    irdl_op_definition,
    prop_def,
    result_def,
    traits_def,
    var_operand_def,
    var_result_def,
)
from xdsl.parser import AttrParser
from xdsl.printer import Printer
from xdsl.traits import ConstantLike, Pure

DYNAMIC = -1
"""Stands for `?` in the shape of a tensor."""


class _TensorType(ParametrizedAttribute, TypeAttribute):
    """Shape and element type of a tensor; either may be unknown (`NoneAttr`)."""

    shape: ArrayAttr[IntAttr] | NoneAttr
    dtype: Attribute

    def __init__(self, shape: Sequence[int] | None, dtype: Attribute | None):
        super().__init__(
            NoneAttr() if shape is None else ArrayAttr([IntAttr(n) for n in shape]),
            dtype or NoneAttr(),
        )

    @property
    def sizes(self) -> tuple[int, ...] | None:
        """The shape, `DYNAMIC` where a size is unknown; None for unknown rank."""
        if isinstance(self.shape, NoneAttr):
            return None
        return tuple(size.data for size in self.shape)

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        if parser.parse_optional_punctuation("<") is None:
            return NoneAttr(), NoneAttr()
        shape: Attribute = NoneAttr()
        if parser.parse_optional_characters("*") is None:
            sizes = parser.parse_comma_separated_list(
                parser.Delimiter.SQUARE, lambda: _parse_size(parser)
            )
            shape = ArrayAttr([IntAttr(n) for n in sizes])
        parser.parse_punctuation(",")
        dtype: Attribute = NoneAttr()
        if parser.parse_optional_keyword("unk") is None:
            dtype = parser.parse_type()
        parser.parse_punctuation(">")
        return shape, dtype

    def print_parameters(self, printer: Printer) -> None:
        if isinstance(self.shape, NoneAttr) and isinstance(self.dtype, NoneAttr):
            return
        with printer.in_angle_brackets():
            if self.sizes is None:
                printer.print_string("*")
            else:
                text = ",".join("?" if n == DYNAMIC else str(n) for n in self.sizes)
                printer.print_string(f"[{text}]")
            printer.print_string(",")
            if isinstance(self.dtype, NoneAttr):
                printer.print_string("unk")
            else:
                printer.print_attribute(self.dtype)


def _parse_size(parser: AttrParser) -> int:
    if parser.parse_optional_punctuation("?") is not None:
        return DYNAMIC
    return parser.parse_integer(allow_boolean=False, allow_negative=False)


@irdl_attr_definition
class VTensorType(_TensorType):
    """
    A tensor with value semantics.

    ```mlir
    !torch.vtensor<[1,64],f32>
    ```
    """

    name = "torch.vtensor"


@irdl_attr_definition
class MutableTensorType(_TensorType):
    """
    A tensor that may be written to; the conversion refuses it.

    ```mlir
    !torch.tensor<[1,64],f32>
    ```
    """

    name = "torch.tensor"


class _ScalarType(ParametrizedAttribute, TypeAttribute):
    """A type without parameters."""


@irdl_attr_definition
class IntType(_ScalarType):
    """
    A Python integer.

    ```mlir
    !torch.int
    ```
    """

    name = "torch.int"


@irdl_attr_definition
class FloatType(_ScalarType):
    """
    A Python float.

    ```mlir
    !torch.float
    ```
    """

    name = "torch.float"


@irdl_attr_definition
class BoolType(_ScalarType):
    """
    A Python bool.

    ```mlir
    !torch.bool
    ```
    """

    name = "torch.bool"


@irdl_attr_definition
class NumberType(_ScalarType):
    """
    A Python number of any kind.

    ```mlir
    !torch.number
    ```
    """

    name = "torch.number"


@irdl_attr_definition
class NoneType(_ScalarType):
    """
    The type of Python's None.

    ```mlir
    !torch.none
    ```
    """

    name = "torch.none"


@irdl_attr_definition
class StrType(_ScalarType):
    """
    A Python string.

    ```mlir
    !torch.str
    ```
    """

    name = "torch.str"


@irdl_attr_definition
class DeviceType(_ScalarType):
    """
    A torch device.

    ```mlir
    !torch.Device
    ```
    """

    name = "torch.Device"


@irdl_attr_definition
class GeneratorType(_ScalarType):
    """
    A torch random number generator.

    ```mlir
    !torch.Generator
    ```
    """

    name = "torch.Generator"


class _ContainerType(ParametrizedAttribute, TypeAttribute):
    """A type made of others; inside it they are written without `!torch.`."""

    elements: ArrayAttr[Attribute]

    def __init__(self, elements: Sequence[Attribute]):
        super().__init__(ArrayAttr(elements))

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        return [
            ArrayAttr(
                parser.parse_comma_separated_list(
                    parser.Delimiter.ANGLE, lambda: _parse_inner(parser)
                )
            )
        ]

    def print_parameters(self, printer: Printer) -> None:
        with printer.in_angle_brackets():
            printer.print_list(self.elements, lambda type: _print_inner(type, printer))


def _parse_inner(parser: AttrParser) -> Attribute:
    if (type := parser.parse_optional_type()) is not None:
        return type
    name = f"torch.{parser.parse_identifier(' for a torch type')}"
    for cls in _TYPES:
        if cls.name == name:
            return cls.new(cls.parse_parameters(parser))
    parser.raise_error(f"unknown type !{name}")


def _print_inner(type: Attribute, printer: Printer) -> None:
    if not isinstance(type, (_TensorType, _ScalarType, _ContainerType)):
        printer.print_attribute(type)
        return
    printer.print_string(type.name.removeprefix("torch."))
    type.print_parameters(printer)


@irdl_attr_definition
class ListType(_ContainerType):
    """
    A list.

    ```mlir
    !torch.list<int>
    ```
    """

    name = "torch.list"


@irdl_attr_definition
class OptionalType(_ContainerType):
    """
    A value or None.

    ```mlir
    !torch.optional<int>
    ```
    """

    name = "torch.optional"


@irdl_attr_definition
class TupleType(_ContainerType):
    """
    A tuple.

    ```mlir
    !torch.tuple<vtensor<[2],f32>, int>
    ```
    """

    name = "torch.tuple"


_TYPES: tuple[type[_TensorType | _ScalarType | _ContainerType], ...] = (
    VTensorType,
    MutableTensorType,
    IntType,
    FloatType,
    BoolType,
    NumberType,
    NoneType,
    StrType,
    DeviceType,
    GeneratorType,
    ListType,
    OptionalType,
    TupleType,
)


@irdl_op_definition
class LiteralOp(IRDLOperation):
    """
    A constant tensor.

    ```mlir
    %0 = "torch.vtensor.literal"() <{value = #mase.dense<f32, [1.0, -2.0]>}>
      : () -> !torch.vtensor<[2],f32>
    ```
    """

    name = "torch.vtensor.literal"

    value = prop_def(Attribute)
    result = result_def(VTensorType)

    traits = traits_def(Pure(), ConstantLike())

    def __init__(self, value: Attribute, type: VTensorType):
        super().__init__(properties={"value": value}, result_types=[type])


@irdl_op_definition
class ConstantIntOp(IRDLOperation):
    """
    A Python integer.

    ```mlir
    %0 = "torch.constant.int"() <{value = 2 : i64}> : () -> !torch.int
    ```
    """

    name = "torch.constant.int"

    value = prop_def(IntegerAttr[IntegerType])
    result = result_def(IntType)

    traits = traits_def(Pure(), ConstantLike())


@irdl_op_definition
class ConstantFloatOp(IRDLOperation):
    """
    A Python float.

    ```mlir
    %0 = "torch.constant.float"() <{value = 0.5 : f64}> : () -> !torch.float
    ```
    """

    name = "torch.constant.float"

    value = prop_def(FloatAttr[Float64Type])
    result = result_def(FloatType)

    traits = traits_def(Pure(), ConstantLike())


@irdl_op_definition
class ConstantBoolOp(IRDLOperation):
    """
    A Python bool.

    ```mlir
    %0 = "torch.constant.bool"() <{value = true}> : () -> !torch.bool
    ```
    """

    name = "torch.constant.bool"

    value = prop_def(IntegerAttr[IntegerType])
    result = result_def(BoolType)

    traits = traits_def(Pure(), ConstantLike())


@irdl_op_definition
class ConstantNoneOp(IRDLOperation):
    """
    Python's None.

    ```mlir
    %0 = "torch.constant.none"() : () -> !torch.none
    ```
    """

    name = "torch.constant.none"

    result = result_def(NoneType)

    traits = traits_def(Pure(), ConstantLike())


@irdl_op_definition
class ConstantStrOp(IRDLOperation):
    """
    A Python string.

    ```mlir
    %0 = "torch.constant.str"() <{value = "tanh"}> : () -> !torch.str
    ```
    """

    name = "torch.constant.str"

    value = prop_def(StringAttr)
    result = result_def(StrType)

    traits = traits_def(Pure(), ConstantLike())


@irdl_op_definition
class ConstantDeviceOp(IRDLOperation):
    """
    A torch device.

    ```mlir
    %0 = "torch.constant.device"() <{value = "cpu"}> : () -> !torch.Device
    ```
    """

    name = "torch.constant.device"

    value = prop_def(StringAttr)
    result = result_def(DeviceType)

    traits = traits_def(Pure(), ConstantLike())


@irdl_op_definition
class OperatorOp(IRDLOperation):
    """
    An op that torch-mlir has no name of its own for.

    ```mlir
    %1 = "torch.operator"(%0) <{name = "torch.mylib.op"}>
      : (!torch.vtensor<[2],f32>) -> !torch.vtensor<[2],f32>
    ```
    """

    name = "torch.operator"

    arguments = var_operand_def(Attribute)
    outputs = var_result_def(Attribute)
    op_name = prop_def(StringAttr, prop_name="name")


class TorchOp(IRDLOperation):
    """
    Any op named in `OPS`.

    Its operands are the arguments of the torch function of that name, in the order of
    its schema, all of them present.

    ```mlir
    %1 = "torch.aten.relu"(%0) {mase.layer = "act"}
      : (!torch.vtensor<[1,32],f32>) -> !torch.vtensor<[1,32],f32>
    ```
    """

    arguments = var_operand_def(Attribute)
    outputs = var_result_def(Attribute)

    traits = traits_def(Pure())


def _define(name: str) -> type[TorchOp]:
    """The op class of an entry of `OPS`."""
    suffix = "".join(part.capitalize() for part in name.replace("_", ".").split("."))
    body: dict[str, object] = {
        "name": f"torch.{name}",
        "__doc__": TorchOp.__doc__,
        "__module__": __name__,
        "__annotations__": {"name": ClassVar[str]},
    }
    return irdl_op_definition(type(f"{suffix}Op", (TorchOp,), body))


OPS = (
    "aten.__and__.Tensor",
    "aten.__interpolate.size_list_scale_list",
    "aten._softmax",
    "aten.abs",
    "aten.adaptive_avg_pool1d",
    "aten.adaptive_avg_pool2d",
    "aten.adaptive_max_pool2d",
    "aten.add.Scalar",
    "aten.add.Tensor",
    "aten.addmm",
    "aten.amax",
    "aten.amin",
    "aten.arange.start_step",
    "aten.avg_pool1d",
    "aten.avg_pool2d",
    "aten.batch_norm",
    "aten.bitwise_and.Tensor",
    "aten.bitwise_not",
    "aten.bitwise_or.Tensor",
    "aten.bitwise_xor.Tensor",
    "aten.bmm",
    "aten.broadcast_to",
    "aten.cat",
    "aten.clamp",
    "aten.clamp.Tensor",
    "aten.constant_pad_nd",
    "aten.contiguous",
    "aten.conv1d.padding",
    "aten.conv2d.padding",
    "aten.convolution",
    "aten.cos",
    "aten.cumsum",
    "aten.div.Scalar",
    "aten.div.Scalar_mode",
    "aten.div.Tensor",
    "aten.div.Tensor_mode",
    "aten.elu",
    "aten.embedding",
    "aten.eq.Scalar",
    "aten.eq.Tensor",
    "aten.erf",
    "aten.exp",
    "aten.flip",
    "aten.floor",
    "aten.fmod.Scalar",
    "aten.fmod.Tensor",
    "aten.gather",
    "aten.ge.Scalar",
    "aten.ge.Tensor",
    "aten.gelu",
    "aten.group_norm",
    "aten.gt.Scalar",
    "aten.gt.Tensor",
    "aten.hardsigmoid",
    "aten.hardswish",
    "aten.hardtanh",
    "aten.index.Tensor_hacked_twin",
    "aten.index_select",
    "aten.instance_norm",
    "aten.layer_norm",
    "aten.le.Scalar",
    "aten.le.Tensor",
    "aten.leaky_relu",
    "aten.linalg_vector_norm",
    "aten.linear",
    "aten.log",
    "aten.log_softmax.int",
    "aten.logical_and",
    "aten.logical_not",
    "aten.logical_or",
    "aten.logical_xor",
    "aten.lt.Scalar",
    "aten.lt.Tensor",
    "aten.matmul",
    "aten.max",
    "aten.max.dim",
    "aten.max_pool1d",
    "aten.max_pool2d",
    "aten.maximum",
    "aten.mean",
    "aten.mean.dim",
    "aten.min",
    "aten.min.dim",
    "aten.minimum",
    "aten.mish",
    "aten.mm",
    "aten.mul.Scalar",
    "aten.mul.Tensor",
    "aten.native_batch_norm",
    "aten.native_layer_norm",
    "aten.ne.Scalar",
    "aten.ne.Tensor",
    "aten.neg",
    "aten.permute",
    "aten.pow.Scalar",
    "aten.pow.Tensor_Scalar",
    "aten.pow.Tensor_Tensor",
    "aten.prelu",
    "aten.reciprocal",
    "aten.relu",
    "aten.relu6",
    "aten.remainder.Scalar",
    "aten.remainder.Tensor",
    "aten.rms_norm",
    "aten.roll",
    "aten.rsqrt",
    "aten.rsub.Scalar",
    "aten.scaled_dot_product_attention",
    "aten.select.int",
    "aten.selu",
    "aten.sigmoid",
    "aten.silu",
    "aten.sin",
    "aten.slice.Tensor",
    "aten.slice_scatter",
    "aten.softmax.int",
    "aten.softplus",
    "aten.softshrink",
    "aten.sqrt",
    "aten.squeeze",
    "aten.squeeze.dim",
    "aten.sub.Scalar",
    "aten.sub.Tensor",
    "aten.sum",
    "aten.sum.dim_IntList",
    "aten.tanh",
    "aten.to.dtype",
    "aten.transpose.int",
    "aten.tril",
    "aten.triu",
    "aten.unsqueeze",
    "aten.upsample_bilinear2d.vec",
    "aten.view",
    "aten.where.self",
    "prim.ListConstruct",
    "prims.collapse",
    "prims.split_dim",
)
"""Names, without `torch.`, of the ops that the conversion accepts."""

Torch = Dialect(
    "torch",
    [
        LiteralOp,
        ConstantIntOp,
        ConstantFloatOp,
        ConstantBoolOp,
        ConstantNoneOp,
        ConstantStrOp,
        ConstantDeviceOp,
        OperatorOp,
        *map(_define, OPS),
    ],
    [*_TYPES],
)
