"""
The bridge to torch-mlir: the only file that imports it.

Torch programs and torch-dialect text come in; generic MLIR text goes out, with the
weights beside it as NumPy arrays, so that they never travel as numbers in text.
Pinned to torch-mlir 20261001: `_LayerLocations` extends a class of its importer.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import logging
import re
import warnings
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from xdsl.utils.exceptions import ParseError
from xdsl.utils.lexer import Input, Span

from mase_opt.lib.errors import UserError
from mase_opt.lib.target.fx_graph import (
    check_static,
    functional_program,
    module_path,
    source_line,
    user_inputs,
)

if TYPE_CHECKING:
    import torch
    from torch.export import ExportedProgram

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


@contextlib.contextmanager
def quiet_torch() -> Generator[None]:
    """Silence the notices that torch's own export code sets off."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", category=FutureWarning, message=".*LeafSpec"
            )
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            yield
    finally:
        logging.disable(disabled)


def _bindings(name: str) -> Any:
    """A module of torch-mlir; it has no type information."""
    return importlib.import_module(f"torch_mlir.{name}")


def import_fx(
    program: ExportedProgram, func_name: str = "main"
) -> tuple[str, dict[str, np.ndarray]]:
    """
    Import an exported program: generic torch-dialect text and its weights.

    The text refers to weights as `dense_resource<key>`; the dict maps each key to
    the array. The program's graph is consumed. Raises `UserError` for programs that
    are dynamic, that mutate state, or that torch-mlir cannot represent.
    """
    with quiet_torch():
        module, arrays = _import_fx(program, func_name)
    return _generic_text(module), arrays


def export_fx(program: ExportedProgram, func_name: str = "main") -> str:
    """Import an exported program: torch-dialect text in custom form, with weights."""
    with quiet_torch():
        module, _ = _import_fx(program, func_name)
    return module.operation.get_asm()


def parse_torch_text(
    text: str, file: str = "<text>"
) -> tuple[str, dict[str, np.ndarray]]:
    """
    Read torch-dialect text in custom or generic form; result as of `import_fx`.

    `file` is what errors call the text. Raises `ParseError` where it does not parse.
    """
    ir = _bindings("ir")
    torch_d = _bindings("dialects.torch")

    context = ir.Context()
    torch_d.register_dialect(context)
    with context:
        try:
            # The newline: MLIR reads past a text that ends inside a string.
            module = ir.Module.parse(text + "\n")
        except ir.MLIRError as error:
            raise _parse_error(error, text, file) from error
        _attributes_to_locations(module)
        _run_backend_pipeline(module)
        _locations_to_attributes(module)
    result = _generic_text(module)
    return result, _resources(result, text)


def import_onnx(path: Path) -> tuple[str, dict[str, np.ndarray]]:
    """
    Read an ONNX file; result as of `import_fx`.

    Raises `UserError` if the file is no ONNX model, has dynamic dimensions or needs
    an operator that torch-mlir does not have.
    """
    try:
        onnx: Any = importlib.import_module("onnx")
    except ImportError as error:
        raise UserError(
            f"{path}: reading ONNX needs the package onnx: pip install onnx"
        ) from error
    from google.protobuf.message import DecodeError

    ir = _bindings("ir")
    torch_d = _bindings("dialects.torch")
    onnx_importer = _bindings("extras.onnx_importer")

    try:
        model = onnx.load(str(path))
        onnx.checker.check_model(model)
        model = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except (
        DecodeError,
        onnx.checker.ValidationError,
        onnx.shape_inference.InferenceError,
    ) as error:
        raise UserError(f"{path}: not a valid ONNX model: {error}") from error
    info = onnx_importer.ModelInfo(model)
    for name, value in info.main_graph.input_map.items():
        for index, dimension in enumerate(value.type.tensor_type.shape.dim):
            if not dimension.HasField("dim_value"):
                raise UserError(
                    f"{path}: input '{name}': dimension {index} is dynamic "
                    f"({dimension.dim_param or '?'}): export the model with fixed sizes"
                )
    context = ir.Context()
    torch_d.register_dialect(context)
    module = info.create_module(context=context)
    importer = onnx_importer.NodeImporter.define_function(
        info.main_graph, module.operation
    )
    try:
        importer.import_all()
    except onnx_importer.OnnxImportError as error:
        raise UserError(f"{path}: torch-mlir cannot import it: {error}") from error
    _run_backend_pipeline(module, "torch-onnx-to-torch-backend-pipeline")
    with context:
        _locations_to_attributes(module, _onnx_layer)
        _name_inputs(module, list(info.main_graph.input_map))
    text = _generic_text(module)
    return text, _resources(text, module.operation.get_asm())


def _generic_text(module: Any) -> str:
    """The text of a module without the content of its resources."""
    text = module.operation.get_asm(
        print_generic_op_form=True, large_resource_limit=0, assume_verified=True
    )
    return text.partition("\n{-#")[0]


_RESOURCE = re.compile(r'^\s*"?([^\s":]+)"?: "0x([0-9A-Fa-f]+)"', re.MULTILINE)
_RESOURCE_USE = re.compile(
    r'dense_resource<"?([^">]+)"?> : tensor<(?:\d+x)*([a-z0-9]+)>'
)
_RESOURCE_DTYPES = {
    "f16": "<f2",
    "f32": "<f4",
    "f64": "<f8",
    "i1": "?",
    "i8": "<i1",
    "i16": "<i2",
    "i32": "<i4",
    "i64": "<i8",
    "si8": "<i1",
    "ui8": "<u1",
    "si16": "<i2",
    "si32": "<i4",
    "si64": "<i8",
}


def _resources(used_in: str, text: str) -> dict[str, np.ndarray]:
    """
    The resources at the end of `text` that `used_in` refers to.

    MLIR hands them out in no other form.
    """
    types = dict(_RESOURCE_USE.findall(used_in))
    arrays: dict[str, np.ndarray] = {}
    for found in _RESOURCE.finditer(text, max(text.rfind("{-#"), 0)):
        key = found.group(1)
        if key not in types:
            continue
        if types[key] not in _RESOURCE_DTYPES:
            raise UserError(f"weight '{key}' has the unsupported type {types[key]}")
        # The first four bytes are the alignment.
        data = bytes.fromhex(found.group(2)[8:])
        arrays[key] = np.frombuffer(data, _RESOURCE_DTYPES[types[key]])
    return arrays


def _parse_error(error: Any, text: str, file: str) -> Exception:
    """The first diagnostic of an MLIR error, at its place in the text."""
    diagnostic = next(iter(error.error_diagnostics), None)
    if diagnostic is None:
        return UserError(f"{file}: {error}")
    found = re.search(r":(\d+):(\d+)\)?$", str(diagnostic.location))
    if found is None:
        return UserError(f"{file}: {diagnostic.message}")
    line, column = int(found.group(1)), int(found.group(2))
    start = 0
    for _ in range(line - 1):
        start = text.find("\n", start) + 1
    start = min(start + column - 1, len(text) - 1)
    return ParseError(Span(start, start + 1, Input(text, file)), diagnostic.message)


def _import_fx(
    program: ExportedProgram, func_name: str
) -> tuple[Any, dict[str, np.ndarray]]:
    ir = _bindings("ir")
    torch_d = _bindings("dialects.torch")
    fx_importer = _bindings("extras.fx_importer")
    decompositions = _bindings("extras.fx_decomp_util")

    context = ir.Context()
    torch_d.register_dialect(context)
    check_static(program)
    program = functional_program(
        program, context.is_registered_operation, decompositions.get_decomposition_table
    )
    constants, state = program.constants, program.state_dict
    weights = _Weights(
        {id(tensor): name for name, tensor in (constants | state).items()}
    )
    # Buffers that are not saved with the model: the importer looks for them here.
    unsaved = {
        name: constants[name]
        for name in program.graph_signature.inputs_to_buffers.values()
        if name not in state
    }

    class Hooks(fx_importer.FxImporterHooks):
        def resolve_literal(self, gni: Any, literal: Any, info: Any) -> Any:
            return weights.literal(gni, literal)

    class LayerLocations(fx_importer.ContextCache):
        """Puts the module path of a graph node into the op's location."""

        def get_node_location(self, node: torch.fx.Node) -> Any:
            return ir.Location.name(
                _LAYER_TAG + module_path(node),
                ir.Location.name(_SOURCE_TAG + source_line(node), context=self._c),
                context=self._c,
            )

    importer = fx_importer.FxImporter(context=context, hooks=Hooks())
    importer._cc = LayerLocations(context, py_attr_tracker=importer._py_attr_tracker)
    input_names = user_inputs(program)
    state.update(unsaved)
    try:
        importer.import_frozen_program(program, func_name=func_name)
    except (NotImplementedError, AssertionError, TypeError) as error:
        raise UserError(f"torch-mlir cannot import this model: {error}") from error
    finally:
        for name in unsaved:
            del state[name]
    module = importer.module
    _run_backend_pipeline(module)
    with context:
        _locations_to_attributes(module)
        _name_inputs(module, input_names)
    return module, weights.arrays


class _Weights:
    """The tensors an import has met, each turned into one resource."""

    def __init__(self, names: dict[int, str]):
        self.names = names
        self.arrays: dict[str, np.ndarray] = {}
        self._attributes: dict[int, tuple[torch.Tensor, Any]] = {}
        """By identity; the tensor is held so that no other one gets the same."""

    def literal(self, gni: Any, tensor: Any) -> Any:
        """Make `torch.vtensor.literal` for a tensor, sharing its memory."""
        import torch

        ir = _bindings("ir")

        if not isinstance(tensor, torch.Tensor):
            return None
        vtensor_type = gni._cc.tensor_to_vtensor_type(tensor)
        if id(tensor) not in self._attributes:
            self._attributes[id(tensor)] = tensor, self._elements(tensor)
        _, elements = self._attributes[id(tensor)]
        return ir.Operation.create(
            "torch.vtensor.literal",
            results=[vtensor_type],
            attributes={"value": elements},
        ).result

    def _elements(self, tensor: torch.Tensor) -> Any:
        import torch
        from torch._subclasses.fake_tensor import unset_fake_temporarily

        ir = _bindings("ir")

        name = self.names.get(id(tensor), "constant")
        if tensor.dtype == torch.bfloat16 or tensor.dtype.is_complex:
            raise UserError(
                f"weight '{name}' has type {tensor.dtype}: call model.float() before "
                "the import"
            )
        with unset_fake_temporarily():
            # A copy: training the model later must not change the IR.
            array = np.array(tensor.detach().cpu().numpy(), order="C")
        tensor_type = _bindings("extras.fx_importer").create_mlir_tensor_type(tensor)
        if array.size <= 1:
            return ir.DenseElementsAttr.get(
                array, type=tensor_type.element_type, shape=array.shape
            )
        key = re.sub(r"[^\w.$]", "_", name, flags=re.ASCII)
        if not re.match(r"[A-Za-z_]", key):
            key = "_" + key
        stem, count = key, 0
        while key in self.arrays:
            count += 1
            key = f"{stem}_{count}"
        self.arrays[key] = array
        return ir.DenseResourceElementsAttr.get_from_buffer(array, key, tensor_type)


def _run_backend_pipeline(
    module: Any, pipeline: str = "torchdynamo-export-to-torch-backend-pipeline"
) -> None:
    """
    Bring a module into the form that the conversion reads.

    In-place variants, shape arithmetic and ops that are not in `WHOLE_OPS` but can
    be taken apart are gone afterwards. Raises `UserError` if torch-mlir gives up.
    """
    ir = _bindings("ir")

    pipeline = (
        "builtin.module(func.func(torch-match-quantized-custom-ops),"
        f"{pipeline}{{backend-legal-ops={','.join(WHOLE_OPS)}}})"
    )
    with module.context as context:
        diagnostics: list[str] = []

        def collect(diagnostic: Any) -> bool:
            diagnostics.append(f"{diagnostic.location}: {diagnostic.message}")
            return True

        handler = context.attach_diagnostic_handler(collect)
        try:
            _bindings("passmanager").PassManager.parse(pipeline).run(module.operation)
        except ir.MLIRError as error:
            details = "\n".join(diagnostics) or str(error)
            if "explicitly marked illegal" in f"{details}{error}":
                # All is done but for an op that torch-mlir has no backend form of,
                # such as a custom one; the conversion knows them better.
                return
            raise UserError(
                f"torch-mlir cannot bring this model into its backend form:\n{details}"
            ) from error
        finally:
            handler.detach()


def _attributes_to_locations(module: Any) -> None:
    """The reverse of `_locations_to_attributes`: rewrites keep locations only."""
    ir = _bindings("ir")

    def visit(op: Any) -> Any:
        if LAYER_ATTR in op.attributes:
            source = ir.Location.unknown()
            if SOURCE_ATTR in op.attributes:
                source = ir.Location.name(
                    _SOURCE_TAG + ir.StringAttr(op.attributes[SOURCE_ATTR]).value
                )
            op.location = ir.Location.name(
                _LAYER_TAG + ir.StringAttr(op.attributes[LAYER_ATTR]).value, source
            )
        return ir.WalkResult.ADVANCE

    module.operation.walk(visit)


def _locations_to_attributes(
    module: Any, names: Callable[[str], dict[str, str]] | None = None
) -> None:
    """
    Keep layer and source of each op as attributes, since text has no locations.

    `names` finds them in the text of a location.
    """
    ir = _bindings("ir")

    names = names or _tagged_names

    def visit(op: Any) -> Any:
        if op.name.startswith("torch.aten.") or op.name == "torch.operator":
            for attribute, value in names(str(op.location)).items():
                op.attributes[attribute] = ir.StringAttr.get(value)
        return ir.WalkResult.ADVANCE

    module.operation.walk(visit)


def _tagged_names(location: str) -> dict[str, str]:
    """What `LayerLocations` has put into a location."""
    result: dict[str, str] = {}
    for tag, attribute in ((_LAYER_TAG, LAYER_ATTR), (_SOURCE_TAG, SOURCE_ATTR)):
        if found := re.search(rf'"{re.escape(tag)}([^"]+)"', location):
            result[attribute] = found.group(1)
    return result


def _onnx_layer(location: str) -> dict[str, str]:
    """The layer of an ONNX node: `/fc1/Gemm` is in fc1; other names stand as is."""
    found = re.search(r'"([^"]+)"', location)
    if found is None:
        return {}
    path = found.group(1).strip("/").split("/")
    layer = ".".join(path[:-1] if found.group(1).startswith("/") else path)
    return {LAYER_ATTR: layer} if layer else {}


def _name_inputs(module: Any, names: list[str]) -> None:
    ir = _bindings("ir")

    func = module.body.operations[0]
    func.attributes["arg_attrs"] = ir.ArrayAttr.get(
        [ir.DictAttr.get({NAME_ATTR: ir.StringAttr.get(name)}) for name in names]
    )


class CompiledModule:
    """
    LLVM-dialect text compiled to machine code in this process.

    The code lives as long as the object. Raises `UserError` if torch-mlir is missing.
    """

    def __init__(self, text: str, opt_level: int):
        try:
            ir = _bindings("ir")
            engine = _bindings("execution_engine")
        except ImportError as error:
            raise UserError(
                "simulation needs the compiler in torch-mlir: pip install torch-mlir"
            ) from error
        with ir.Context():
            module = ir.Module.parse(text)
            self._engine = engine.ExecutionEngine(module, opt_level=opt_level)

    def call(self, name: str, *arguments: int) -> int:
        """
        Call a function whose arguments and result are 64 bits wide.

        Pointers are given as addresses. The result of a function without one is 0.
        """
        # The engine hands out a wrapper that takes pointers to arguments and result.
        values = (ctypes.c_int64 * (len(arguments) + 1))(*arguments, 0)
        base, size = ctypes.addressof(values), ctypes.sizeof(ctypes.c_int64)
        places = [base + size * index for index in range(len(values))]
        wrapper = self._engine.raw_lookup(name)
        assert wrapper, f"no function {name}"
        ctypes.CFUNCTYPE(None, ctypes.c_void_p)(wrapper)(
            (ctypes.c_void_p * len(places))(*places)
        )
        return values[len(arguments)]
