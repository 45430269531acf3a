"""
Constant folding of ONNX graphs, by ONNX's own reference evaluator.

What depends on no input is computed here: torch-mlir's folders get some of it wrong,
and it sees the remaining constants only where it must.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mase_opt.lib.errors import UserError

VISIBLE: dict[str, tuple[int, ...]] = {
    "CenterCropPad": (1,),
    "ConstantOfShape": (0,),
    "CumSum": (1,),
    "Dropout": (1, 2),
    "Expand": (1,),
    "OneHot": (1, 2),
    "Pad": (1, 2, 3),
    "Range": (0, 1, 2),
    "ReduceL1": (1,),
    "ReduceL2": (1,),
    "ReduceLogSum": (1,),
    "ReduceLogSumExp": (1,),
    "ReduceMax": (1,),
    "ReduceMean": (1,),
    "ReduceMin": (1,),
    "ReduceProd": (1,),
    "ReduceSum": (1,),
    "ReduceSumSquare": (1,),
    "Reshape": (1,),
    "Resize": (1, 2, 3),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "Squeeze": (1,),
    "Tile": (1,),
    "TopK": (1,),
    "Trilu": (1,),
    "Unsqueeze": (1,),
    "Upsample": (1,),
}
"""
The inputs of ONNX operators that the lowering has to know: sizes, axes, positions.

No arithmetic is done with them once the graph is folded.
"""

_RANDOM = frozenset(
    {
        "Bernoulli",
        "Multinomial",
        "RandomNormal",
        "RandomNormalLike",
        "RandomUniform",
        "RandomUniformLike",
    }
)

_MOST_ELEMENTS = 1 << 28
"""A constant larger than this is more likely a mistake than a weight."""


def fold_constants(model: Any) -> tuple[Any, frozenset[str]]:
    """
    Compute what depends on no input of an ONNX model.

    `model` has inferred shapes. Returns a model in which all constants are
    initializers, and the names of those whose values the lowering has to see. Raises
    `UserError` where a value cannot be computed.
    """
    import onnx

    graph = model.graph
    known = {i.name: onnx.numpy_helper.to_array(i) for i in graph.initializer}
    # An initializer that is an input, too, is only a default.
    for value in graph.input:
        known.pop(value.name, None)
    shapes = {
        value.name: [d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.value_info, *graph.output)
        if _is_static(value)
    }
    kept: list[Any] = []
    for node in graph.node:
        results = _values(model, node, known, shapes)
        if results is None:
            kept.append(node)
        else:
            known |= results
    outputs = {value.name for value in graph.output}
    used = {name for node in kept for name in _inputs(node)} | outputs
    del graph.node[:]
    graph.node.extend(kept)
    del graph.initializer[:]
    visible = frozenset(
        node.input[index]
        for node in kept
        for index in VISIBLE.get(node.op_type, ())
        if index < len(node.input) and node.input[index] in known
    )
    for name in sorted(used & known.keys()):
        graph.initializer.append(_tensor(known[name], name, inline=name in visible))
    return model, visible


def _is_static(value: Any) -> bool:
    type = value.type.tensor_type
    return type.HasField("shape") and all(
        d.HasField("dim_value") for d in type.shape.dim
    )


def _inputs(node: Any) -> list[str]:
    """The values that a node reads, those in its subgraphs included."""
    names = list(node.input)
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            for inner in graph.node:
                names += _inputs(inner)
            names += [value.name for value in graph.output]
    return names


def _values(
    model: Any,
    node: Any,
    known: dict[str, NDArray[Any]],
    shapes: dict[str, list[int]],
) -> dict[str, NDArray[Any]] | None:
    """The results of a node that depends on constants only; None for other nodes."""
    if node.op_type == "Shape" and node.input[0] in shapes:
        return {node.output[0]: _shape(node, shapes[node.input[0]])}
    if node.op_type == "Size" and node.input[0] in shapes:
        size = np.prod(shapes[node.input[0]], dtype=np.int64)
        return {node.output[0]: np.array(size, np.int64)}
    inputs = _inputs(node)
    if node.op_type in _RANDOM or not all(n in known for n in inputs if n):
        return None
    if node.domain not in ("", "ai.onnx") or any(
        a.HasField("g") for a in node.attribute
    ):
        return None
    if node.op_type == "ConstantOfShape":
        _check_size(node, int(np.prod(known[node.input[0]], dtype=np.float64)))
    return _evaluated(model, node, known)


def _shape(node: Any, shape: list[int]) -> NDArray[Any]:
    bounds = {a.name: a.i for a in node.attribute}
    return np.array(shape[bounds.get("start", 0) : bounds.get("end")], np.int64)


def _check_size(node: Any, size: int) -> None:
    if size > _MOST_ELEMENTS:
        raise UserError(
            f"the constant '{node.output[0]}' ({node.op_type}) has {size} elements, "
            f"at most {_MOST_ELEMENTS} are supported"
        )


def _evaluated(
    model: Any, node: Any, known: dict[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    import onnx
    from onnx.reference import ReferenceEvaluator

    inputs = [name for name in node.input if name]
    graph = onnx.helper.make_graph(
        [node],
        "constant",
        [onnx.helper.make_empty_tensor_value_info(n) for n in dict.fromkeys(inputs)],
        [onnx.helper.make_empty_tensor_value_info(n) for n in node.output if n],
    )
    single = onnx.helper.make_model(
        graph, opset_imports=model.opset_import, ir_version=model.ir_version
    )
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            evaluator: Any = ReferenceEvaluator(single)
            values = evaluator.run(None, {name: known[name] for name in inputs})
    except Exception as error:  # the evaluator raises whatever NumPy does
        raise UserError(
            f"the constant '{node.output[0]}' ({node.op_type}) cannot be computed: "
            f"{type(error).__name__}: {error}"
        ) from error
    names = [name for name in node.output if name]
    return dict(zip(names, map(np.asarray, values), strict=True))


def _tensor(array: NDArray[Any], name: str, *, inline: bool) -> Any:
    """An initializer; the importer sees the numbers of those whose data is not raw."""
    import onnx

    if not inline:
        return onnx.numpy_helper.from_array(array, name)
    kind = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
    return onnx.helper.make_tensor(name, kind, array.shape, array.ravel().tolist())
