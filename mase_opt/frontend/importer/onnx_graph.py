"""
Clean-up of ONNX graphs before their import: what torch-mlir 20261001 gets wrong.

Such operators are replaced by others that mean the same, or refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mase_opt.lib.errors import UserError


def rewrite(model: Any) -> Any:
    """
    A form of an ONNX model that torch-mlir reads as ONNX means it.

    The shapes of `model` are inferred, and so are those of the result. Raises
    `UserError` for an operator that has no such form.
    """
    import onnx

    result = onnx.ModelProto()
    result.CopyFrom(model)
    types = {
        value.name: value.type.tensor_type.elem_type
        for value in (*model.graph.input, *model.graph.value_info, *model.graph.output)
    } | {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    opset = max(
        (o.version for o in model.opset_import if o.domain in ("", "ai.onnx")),
        default=1,
    )
    nodes: list[Any] = []
    for node in model.graph.node:
        _check(node, opset)
        replace = _REPLACEMENTS.get(node.op_type)
        if replace is None or node.domain not in ("", "ai.onnx"):
            nodes.append(node)
        else:
            nodes += replace(_Node(node, opset, types.get(node.input[0], 0)))
    if nodes == list(model.graph.node):
        return model
    del result.graph.node[:]
    result.graph.node.extend(nodes)
    return onnx.shape_inference.infer_shapes(result, data_prop=True)


class _Node:
    """A node to replace: its attributes, and new nodes that take its place."""

    def __init__(self, node: Any, opset: int, element: int):
        self.node = node
        self.opset = opset
        self.element = element
        """The element type of the first input, as ONNX numbers it; 0: unknown."""

    def attribute(self, name: str, default: Any) -> Any:
        return _attribute(self.node, name, default)

    def make(self, op_type: str, *inputs: str, **attributes: Any) -> Any:
        """A node with one result, named after it, in the layer of the node."""
        import onnx

        count = len(inputs)
        name = "/".join((self.node.output[0], op_type, *inputs[count - 1 :]))
        return onnx.helper.make_node(
            op_type, list(inputs), [name], name=self.node.name, **attributes
        )

    def constant(self, value: float, element: int | None = None) -> Any:
        """A node that makes a number, by default of the first input's type."""
        import onnx

        kind = self.element if element is None else element
        tensor = onnx.helper.make_tensor("value", kind, (), [value])
        name = f"{self.node.output[0]}/{value}"
        return onnx.helper.make_node("Constant", [], [name], value=tensor)


def _prelu(old: _Node) -> list[Any]:
    """
    PRelu(x, slope) -> Where(Less(x, 0), Mul(x, slope), x)

    Dimensions of the slope are aligned at the right; torch-mlir takes one dimension for
    that of the channels.
    """
    x, slope = old.node.input
    if old.opset < 9:
        raise UserError(f"{_where(old.node)} needs opset 9 or later: export it again")
    zero = old.constant(0.0)
    below = old.make("Less", x, zero.output[0])
    scaled = old.make("Mul", x, slope)
    result = old.make("Where", below.output[0], scaled.output[0], x)
    result.output[0] = old.node.output[0]
    return [zero, below, scaled, result]


def _lp_normalization(old: _Node) -> list[Any]:
    """
    LpNormalization(x) -> Div(x, Where(Equal(norm, 0), 1, norm))

    torch-mlir divides zeros by their norm, which is zero.
    """
    import onnx

    if old.opset < 11:
        raise UserError(f"{_where(old.node)} needs opset 11 or later: export it again")
    x, axis = old.node.input[0], old.attribute("axis", -1)
    op_type = "ReduceL1" if old.attribute("p", 2) == 1 else "ReduceL2"
    nodes: list[Any] = []
    if old.opset < 18:
        norm = old.make(op_type, x, axes=[axis], keepdims=1)
    else:
        axes = onnx.helper.make_node(
            "Constant", [], [f"{old.node.output[0]}/axes"], value_ints=[axis]
        )
        nodes.append(axes)
        norm = old.make(op_type, x, axes.output[0], keepdims=1)
    zero, one = old.constant(0.0), old.constant(1.0)
    empty = old.make("Equal", norm.output[0], zero.output[0])
    divisor = old.make("Where", empty.output[0], one.output[0], norm.output[0])
    result = old.make("Div", x, divisor.output[0])
    result.output[0] = old.node.output[0]
    return [*nodes, norm, zero, one, empty, divisor, result]


_REPLACEMENTS: dict[str, Callable[[_Node], list[Any]]] = {
    "LpNormalization": _lp_normalization,
    "PRelu": _prelu,
}


def _attribute(node: Any, name: str, default: Any) -> Any:
    import onnx

    for attribute in node.attribute:
        if attribute.name == name:
            value: Any = onnx.helper.get_attribute_value(attribute)
            return value.decode() if isinstance(value, bytes) else value
    return default


def _where(node: Any) -> str:
    """An operator, and the name of its node."""
    name = node.name or node.output[0]
    return f"{node.op_type} ('{name}')"


KNOWN_OPSET = 22
"""Attributes that operators got later mean nothing to torch-mlir."""


def _check(node: Any, opset: int) -> None:
    """Raises `UserError` for a node that torch-mlir does not read as ONNX means it."""
    import onnx

    if node.domain not in ("", "ai.onnx"):
        return
    if node.op_type == "Pad" and _attribute(node, "mode", "constant") == "wrap":
        raise UserError(f"{_where(node)}: mode 'wrap' is not supported: use Concat")
    if (
        node.op_type == "SoftmaxCrossEntropyLoss"
        and _attribute(node, "reduction", "mean") == "mean"
        and (len(node.input) > 2 or _attribute(node, "ignore_index", None) is not None)
    ):
        raise UserError(
            f"{_where(node)}: weighted means are not supported: leave the loss out of "
            "the exported model"
        )
    if opset <= KNOWN_OPSET:
        return
    try:
        schema: Any = onnx.defs.get_schema(node.op_type, KNOWN_OPSET)
    except onnx.defs.SchemaError:
        return
    for attribute in node.attribute:
        if attribute.name not in schema.attributes:
            raise UserError(
                f"{_where(node)}: the attribute '{attribute.name}' of opset {opset} is "
                f"not supported: export the model for opset {KNOWN_OPSET}"
            )
