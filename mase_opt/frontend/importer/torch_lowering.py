"""
Lowering of torch-dialect programs by torch-mlir, into the form that we convert.

It runs in a process of its own: there torch-mlir may crash, or never end. Programs come
and go as generic MLIR text; the data of constants stays outside of it.
"""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Generator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from xdsl.utils.exceptions import ParseError
from xdsl.utils.lexer import Input, Span

from mase_opt.frontend.importer.torch_mlir import bindings
from mase_opt.frontend.importer.worker import Worker, WorkerDied
from mase_opt.lib.errors import UserError

LAYER_ATTR = "mase.layer"
"""Discardable attribute: the path of the torch module an op comes from."""

SOURCE_ATTR = "mase.source"
"""Discardable attribute: `file:line` of the Python statement an op comes from."""

NAME_ATTR = "mase.name"
"""Argument attribute: the name of an input of the program."""

WHOLE_OPS = (
    "aten._softmax",
    "aten.adaptive_avg_pool1d",
    "aten.adaptive_avg_pool2d",
    "aten.adaptive_max_pool2d",
    "aten.addmm",
    "aten.amax",
    "aten.amin",
    "aten.batch_norm",
    "aten.conv1d.padding",
    "aten.conv2d.padding",
    "aten.elu",
    "aten.fmod.Tensor",
    "aten.gelu",
    "aten.group_norm",
    "aten.hardsigmoid",
    "aten.hardswish",
    "aten.hardtanh",
    "aten.instance_norm",
    "aten.kl_div",
    "aten.layer_norm",
    "aten.leaky_relu",
    "aten.linear",
    "aten.log_softmax.int",
    "aten.mean",
    "aten.mean.dim",
    "aten.mish",
    "aten.native_batch_norm",
    "aten.native_layer_norm",
    "aten.prelu",
    "aten.relu6",
    "aten.rms_norm",
    "aten.roll",
    "aten.scaled_dot_product_attention",
    "aten.selu",
    "aten.silu",
    "aten.softmax.int",
    "aten.softplus",
    "aten.softshrink",
)
"""
Ops that torch-mlir would take apart and that mean one layer to us, or that it would
take apart wrongly.
"""

_LAYER_TAG = "mase.layer:"
_SOURCE_TAG = "mase.source:"


_DTYPES = {
    "f16": "<f2",
    "f32": "<f4",
    "f64": "<f8",
    "i1": "?",
    **{
        f"{sign}{bits}": f"<{'u' if sign == 'ui' else 'i'}{bits // 8}"
        for sign in ("i", "si", "ui")
        for bits in (8, 16, 32, 64)
    },
}
"""How NumPy calls MLIR's element types."""


def flat_array(data: bytes, element: str) -> np.ndarray:
    """
    The content of a constant, flat.

    NumPy has no bfloat16: float32 holds the same numbers. Raises `UserError` for a
    type that nothing here holds.
    """
    if element == "bf16":
        return (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4")
    if element not in _DTYPES:
        raise UserError(f"a constant has the unsupported element type {element}")
    return np.frombuffer(data, _DTYPES[element])


def resource(key: str, tensor_type: Any) -> Any:
    """A constant whose data is elsewhere: torch-mlir cannot compute with it."""
    return bindings("ir").Attribute.parse(
        f"dense_resource<{key}> : {tensor_type}", context=tensor_type.context
    )


def text_of(module: Any) -> str:
    """A module as text, with its locations."""
    return module.operation.get_asm(
        print_generic_op_form=True, enable_debug_info=True, assume_verified=True
    )


def tagged_location(layer: str, source: str, context: Any = None) -> Any:
    """A location that says from which layer and statement an op comes."""
    ir = bindings("ir")

    return ir.Location.name(
        _LAYER_TAG + layer,
        ir.Location.name(_SOURCE_TAG + source, context=context),
        context=context,
    )


# Lowering, in a process of its own: there torch-mlir may crash, or never end.

_WORKER = Worker()

FX_PIPELINE = "torchdynamo-export-to-torch-backend-pipeline"
ONNX_PIPELINE = "torch-onnx-to-torch-backend-pipeline"


@dataclass(frozen=True)
class Lowered:
    """A program in the form that the conversion reads."""

    text: str
    literals: dict[str, np.ndarray]
    """Constants that stood in the text, by their keys, which begin with `LITERAL`."""


LITERAL = "mase.literal."
"""What the key of a constant begins with that has no name."""


def lower_program(request: dict[str, Any], file: str | None = None) -> Lowered:
    """
    Bring a program into the form that the conversion reads.

    In-place variants, shape arithmetic and ops that are not in `WHOLE_OPS` but can
    be taken apart are gone afterwards. Raises `UserError` if torch-mlir gives up or
    crashes, `ParseError` for text that it does not read; `file` is what errors call
    the input.
    """
    where = "" if file is None else f"{file}: "
    try:
        answer = _WORKER.call(f"{__name__}:lower", request)
    except WorkerDied as died:
        raise UserError(
            f"{where}torch-mlir {died}{_culprit(request)}: write this part of the "
            "model with other operations"
        ) from died
    if "parse_error" in answer:
        message, place = answer["parse_error"]
        raise _parse_error(message, place, request["text"], file or "<text>")
    if "error" in answer:
        raise UserError(
            f"{where}torch-mlir cannot bring this model into its backend form:\n"
            f"{answer['error']}"
        )
    literals = {
        key: flat_array(base64.b64decode(data), element)
        for key, (element, data) in answer["literals"].items()
    }
    return Lowered(answer["text"], literals)


def _culprit(request: dict[str, Any]) -> str:
    """Which op it is that torch-mlir cannot lower without a crash, in words."""
    try:
        ops: list[str] = _WORKER.call(f"{__name__}:describe", request)["ops"]
    except WorkerDied:
        return " while it read the text"
    # The shortest part of the program that crashes ends with the culprit.
    low, high = 0, len(ops)
    while low < high:
        middle = (low + high) // 2
        try:
            _WORKER.call(f"{__name__}:lower", request | {"length": middle + 1})
            low = middle + 1
        except WorkerDied:
            high = middle
    return f" on {ops[low]}" if low < len(ops) else ""


def _parse_error(
    message: str, place: list[int] | None, text: str, file: str
) -> Exception:
    """A diagnostic of MLIR's parser, at its place in the text."""
    if place is None:
        return UserError(f"{file}: {message}")
    line, column = place
    start = 0
    for _ in range(line - 1):
        start = text.find("\n", start) + 1
    start = min(start + column - 1, len(text) - 1)
    return ParseError(Span(start, start + 1, Input(text, file)), message)


# What runs in that process.


def lower(request: dict[str, Any]) -> dict[str, Any]:
    """
    Run torch-mlir's passes on `text`.

    `length`: only on so many ops of its function. `custom_form`: the result is text
    for people. What torch-mlir cannot lower is left as it is, and the rest lowered.
    """
    ir = bindings("ir")

    with _context():
        try:
            module = ir.Module.parse(request["text"]).operation
        except ir.MLIRError as error:
            return {"parse_error": _first_diagnostic(error)}
        if "length" in request:
            _truncate(module, request["length"])
        prefix = LITERAL
        while prefix in request["text"]:
            prefix += "_"
        literals: dict[str, Any] = {}
        _take_literals(module, literals, prefix)
        _attributes_to_locations(module)
        try:
            module = _run_passes(module, request["pipeline"])
        except ir.MLIRError as error:
            return {"error": _details(error)}
        _locations_to_attributes(module)
        if "inputs" in request:
            _name_inputs(module, request["inputs"])
        if request.get("custom_form"):
            return {"text": module.get_asm(), "literals": {}}
        _take_literals(module, literals, prefix)
        text = module.get_asm(print_generic_op_form=True, assume_verified=True)
        return {"text": text.partition("\n{-#")[0], "literals": literals}


def _run_passes(module: Any, pipeline: str) -> Any:
    """
    What the passes make of a module, but for ops that they cannot lower.

    Raises `MLIRError` if they fail for another reason.
    """
    ir = bindings("ir")

    failed: set[str] = set()
    while True:
        attempt = module.clone()
        _replace_operators(attempt, "torch.operator", _HIDDEN, failed)
        legal = ",".join([*WHOLE_OPS, *sorted(failed)])
        passes = (
            "builtin.module(func.func(torch-match-quantized-custom-ops),"
            f"{pipeline}{{backend-legal-ops={legal}}})"
        )
        try:
            bindings("passmanager").PassManager.parse(passes).run(attempt)
        except ir.MLIRError as error:
            illegal = _illegal_ops(str(error)) - failed
            if not illegal:
                raise
            failed |= illegal
        else:
            _replace_operators(attempt, _HIDDEN, "torch.operator", failed)
            return attempt


def describe(request: dict[str, Any]) -> dict[str, Any]:
    """The ops in the function of `text`, each with where it comes from."""
    with _context():
        module = bindings("ir").Module.parse(request["text"]).operation
        _attributes_to_locations(module)
        _locations_to_attributes(module)
        return {"ops": [_description(op) for op in _function_ops(module)]}


@contextlib.contextmanager
def _context() -> Generator[Any]:
    context = bindings("ir").Context()
    bindings("dialects.torch").register_dialect(context)
    # For ops that are hidden from torch-mlir.
    context.allow_unregistered_dialects = True
    with context:
        yield context


def _function(module: Any) -> Any:
    return module.regions[0].blocks[0].operations[0]


def _function_ops(module: Any) -> list[Any]:
    """The ops of the first function, without its return."""
    ops = _function(module).regions[0].blocks[0].operations
    return [op.operation for op in ops][:-1]


def _description(op: Any) -> str:
    name = op.name
    if name == "torch.operator":
        name = bindings("ir").StringAttr(op.attributes["name"]).value
    found = {
        key: bindings("ir").StringAttr(op.attributes[key]).value
        for key in (LAYER_ATTR, SOURCE_ATTR)
        if key in op.attributes
    }
    layer, source = found.get(LAYER_ATTR), found.get(SOURCE_ATTR)
    return (
        name + (f" in '{layer}'" if layer else "") + (f" at {source}" if source else "")
    )


def _truncate(module: Any, length: int) -> None:
    """Leave `length` ops of the function, which returns all their tensors."""
    ir = bindings("ir")

    function = _function(module)
    block = function.regions[0].blocks[0]
    for op in reversed(list(block.operations)[length:]):
        op.operation.erase()
    values = [
        result
        for op in block.operations
        for result in op.operation.results
        if str(result.type).startswith("!torch.vtensor")
    ]
    with ir.InsertionPoint(block), ir.Location.unknown():
        ir.Operation.create("func.return", operands=values)
        function.attributes["function_type"] = ir.TypeAttr.get(
            ir.FunctionType.get(
                [argument.type for argument in block.arguments],
                [value.type for value in values],
            )
        )
    for name in ("res_attrs", "arg_attrs"):
        if name in function.attributes:
            del function.attributes[name]


def _take_literals(module: Any, literals: dict[str, Any], prefix: str) -> None:
    """
    Move the data of constants out of a module, into `literals`.

    The folders of torch-mlir make mistakes, and other parsers read some floats in
    MLIR's text as integers; neither can happen to what is not there.
    """
    ir = bindings("ir")

    def visit(op: Any) -> Any:
        if op.name == "torch.vtensor.literal":
            value = op.attributes["value"]
            if isinstance(value, ir.DenseElementsAttr):
                key = f"{prefix}{len(literals)}"
                element = str(ir.ShapedType(value.type).element_type)
                data = base64.b64encode(_content(value, element)).decode()
                literals[key] = [element, data]
                op.attributes["value"] = resource(key, value.type)
        return ir.WalkResult.ADVANCE

    module.walk(visit)


def _content(value: Any, element: str) -> bytes:
    """The data of a dense attribute, row-major."""
    if element != "bf16":
        values: np.ndarray = np.array(value)
        return values.tobytes()
    # Of this type the bindings tell the text only.
    _, _, text = str(value).rpartition("dense<")
    text = text[: text.rindex("> : ")]
    if text.startswith('"0x'):
        data = bytes.fromhex(text[3:-1])
    else:
        tokens = re.findall(r"[^\s,\[\]]+", text)
        data = b"".join(map(_brain_float, tokens))
    size = prod(bindings("ir").ShapedType(value.type).shape)
    return data if len(data) == 2 * size else data * size


def _brain_float(token: str) -> bytes:
    """The bits of a bfloat16 that MLIR has printed as a number or as bits."""
    if token.startswith("0x"):
        return int(token, 16).to_bytes(2, "little")
    # Printed exactly enough: the nearest float32 is the number itself, or close to it.
    bits = int(np.float32(token).view(np.uint32))
    return ((bits + 0x8000) >> 16).to_bytes(2, "little")


_HIDDEN = "mase_hidden.operator"
"""What an op is called meanwhile that torch-mlir's passes must not see."""


def _replace_operators(module: Any, old: str, new: str, names: set[str]) -> None:
    """Rename ops called `old`, whose `name` is one of `names`, to `new`."""
    ir = bindings("ir")

    found: list[Any] = []

    def visit(op: Any) -> Any:
        if op.name == old and ir.StringAttr(op.attributes["name"]).value in names:
            found.append(op)
        return ir.WalkResult.ADVANCE

    module.walk(visit)
    for op in found:
        with ir.InsertionPoint(op), op.location:
            renamed = ir.Operation.create(
                new,
                results=[result.type for result in op.results],
                operands=list(op.operands),
                attributes={
                    named.name: named.attr
                    for named in (op.attributes[i] for i in range(len(op.attributes)))
                },
            )
        for before, after in zip(op.results, renamed.results, strict=True):
            before.replace_all_uses_with(after)
        op.erase()


def _illegal_ops(message: str) -> set[str]:
    """
    The ops that a conversion could not do, as the option `backend-legal-ops` has them.

    Ops without a name of their own: by the `name` that they have.
    """
    names = set(
        re.findall(r"legalize operation '(?:torch\.)?([\w.]+)' that was", message)
    )
    if "operator" in names:
        names.remove("operator")
        names |= set(re.findall(r'"torch.operator"\(.*?name = "([^"]+)"', message))
    return names


def _first_diagnostic(error: Any) -> tuple[str, list[int] | None]:
    """The message of an MLIR error, with line and column where they are known."""
    diagnostic = next(iter(error.error_diagnostics), None)
    if diagnostic is None:
        return str(error), None
    found = re.search(r":(\d+):(\d+)\)?$", str(diagnostic.location))
    place = [int(found.group(1)), int(found.group(2))] if found else None
    return diagnostic.message, place


def _details(error: Any) -> str:
    """The messages of an MLIR error, each with the layer it is about."""
    lines: list[str] = []
    for diagnostic in error.error_diagnostics:
        names = _names(str(diagnostic.location))
        place = " at ".join(names[k] for k in (LAYER_ATTR, SOURCE_ATTR) if k in names)
        lines.append(f"{place}: {diagnostic.message}" if place else diagnostic.message)
    return "\n".join(lines) or str(error)


def prepare() -> None:
    """Start the process that lowers, beside what the caller has to do before."""
    _WORKER.start()


def _attributes_to_locations(module: Any) -> None:
    """The reverse of `_locations_to_attributes`: rewrites keep locations only."""
    ir = bindings("ir")

    def visit(op: Any) -> Any:
        names = [
            ir.StringAttr(op.attributes[key]).value if key in op.attributes else ""
            for key in (LAYER_ATTR, SOURCE_ATTR)
        ]
        if any(names):
            op.location = tagged_location(*names)
        return ir.WalkResult.ADVANCE

    module.walk(visit)


def _locations_to_attributes(module: Any) -> None:
    """Keep layer and source of each op as attributes: what reads them has no other."""
    ir = bindings("ir")

    def visit(op: Any) -> Any:
        if op.name.startswith("torch.aten.") or op.name == "torch.operator":
            for attribute, value in _names(str(op.location)).items():
                op.attributes[attribute] = ir.StringAttr.get(value)
        return ir.WalkResult.ADVANCE

    module.walk(visit)


def _names(location: str) -> dict[str, str]:
    """Layer and source in a location: as we have put them there, or the ONNX node."""
    tags = ((_LAYER_TAG, LAYER_ATTR), (_SOURCE_TAG, SOURCE_ATTR))
    result: dict[str, str] = {}
    for tag, attribute in tags:
        if found := re.search(rf'"{re.escape(tag)}([^"]+)"', location):
            result[attribute] = found.group(1)
    if result or _LAYER_TAG in location:
        return result
    # An ONNX node: `/fc1/Gemm` is in fc1; other names stand as they are.
    found = re.match(r'loc\((?:fused\[)?"([^"]+)"[^:]', location)
    if found is None:
        return {}
    path = found.group(1).strip("/").split("/")
    layer = ".".join(path[:-1] if found.group(1).startswith("/") else path)
    return {LAYER_ATTR: layer} if layer else {}


def _name_inputs(module: Any, names: list[str]) -> None:
    ir = bindings("ir")

    _function(module).attributes["arg_attrs"] = ir.ArrayAttr.get(
        [ir.DictAttr.get({NAME_ATTR: ir.StringAttr.get(name)}) for name in names]
    )
