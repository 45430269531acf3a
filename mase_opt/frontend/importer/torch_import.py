"""
Import of torch programs, ONNX files and torch-dialect text through torch-mlir.

Generic MLIR text comes out, with the weights beside it as NumPy arrays, so that they
never travel as numbers in text, and torch-mlir never computes with them.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import re
import warnings
from collections.abc import Generator, Mapping
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mase_opt.frontend.importer.fx_constants import fold_constants
from mase_opt.frontend.importer.fx_graph import (
    check_static,
    functional_program,
    module_path,
    source_line,
    user_inputs,
)
from mase_opt.frontend.importer.torch_lowering import (
    FX_PIPELINE,
    ONNX_PIPELINE,
    flat_array,
    lower_program,
    resource,
    tagged_location,
    text_of,
)
from mase_opt.frontend.importer.torch_mlir import bindings
from mase_opt.lib.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch.export import ExportedProgram


@contextlib.contextmanager
def quiet_torch() -> Generator[None]:
    """Silence what torch's own export code logs: of errors it raises the same."""
    disabled = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", category=FutureWarning, message=".*LeafSpec"
            )
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            yield
    finally:
        logging.disable(disabled)


def import_fx(
    program: ExportedProgram, func_name: str = "main"
) -> tuple[str, dict[str, np.ndarray]]:
    """
    Import an exported program: generic torch-dialect text and its weights.

    The text refers to weights as `dense_resource<key>`; the dict maps each key to
    the array. The program's graph is consumed. Raises `UserError` for programs that
    are dynamic, that mutate state, or that torch-mlir cannot represent.
    """
    request, arrays = _import_fx(program, func_name)
    answer = lower_program(request)
    return answer.text, arrays | answer.literals


def export_fx(program: ExportedProgram, func_name: str = "main") -> str:
    """Import an exported program: torch-dialect text in custom form, with weights."""
    request, arrays = _import_fx(program, func_name)
    text = lower_program(request | {"custom_form": True}).text
    entries = (
        f'      {key}: "0x{array.itemsize.to_bytes(4, "little").hex()}'
        f'{array.tobytes().hex().upper()}"'
        for key, array in arrays.items()
        if f"dense_resource<{key}>" in text
    )
    data = ",\n".join(entries)
    if not data:
        return text
    return (
        f"{text}\n{{-#\n  dialect_resources: {{\n    builtin: {{\n{data}\n    }}\n"
        "  }\n#-}\n"
    )


def parse_torch_text(
    text: str, file: str = "<text>"
) -> tuple[str, dict[str, np.ndarray]]:
    """
    Read torch-dialect text in custom or generic form; result as of `import_fx`.

    `file` is what errors call the text. Raises `ParseError` where it does not parse.
    """
    # The newline: MLIR reads past a text that ends inside a string.
    answer = lower_program({"text": text + "\n", "pipeline": FX_PIPELINE}, file)
    return answer.text, _resources(answer.text, text) | answer.literals


def import_onnx(path: Path) -> tuple[str, dict[str, np.ndarray]]:
    """
    Read an ONNX file; result as of `import_fx`.

    Operators of an older opset that torch-mlir does not have in that form are brought
    to opset 17. Raises `UserError` if the file is no ONNX model, has dynamic
    dimensions, or a constant in it cannot be computed.
    """
    try:
        onnx: Any = importlib.import_module("onnx")
    except ImportError as error:
        raise UserError(
            f"{path}: reading ONNX needs the package onnx: pip install onnx"
        ) from error
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(str(path))
        onnx.checker.check_model(model)
        original = onnx.ModelProto()
        original.CopyFrom(model)
        text, arrays = _lower_onnx(model, path)
        opset = {entry.domain: entry.version for entry in original.opset_import}.get("")
        if _UNKNOWN_ONNX not in text or opset is None or opset >= _NEWER_OPSET:
            return text, arrays
        try:
            newer = onnx.version_converter.convert_version(original, _NEWER_OPSET)
            return _lower_onnx(newer, path)
        except (RuntimeError, UserError):
            # Not all operators have a conversion; what is unknown will be named.
            return text, arrays
    except (
        DecodeError,
        onnx.checker.ValidationError,
        onnx.shape_inference.InferenceError,
    ) as error:
        raise UserError(f"{path}: not a valid ONNX model: {error}") from error


_UNKNOWN_ONNX = '<{name = "onnx.'
"""In text: an operator that torch-mlir has left as it was."""

_NEWER_OPSET = 17


def _lower_onnx(model: Any, path: Path) -> tuple[str, dict[str, np.ndarray]]:
    import onnx

    from mase_opt.frontend.importer.onnx_constants import fold_constants
    from mase_opt.frontend.importer.onnx_graph import rewrite

    ir = bindings("ir")
    torch_d = bindings("dialects.torch")
    onnx_importer = bindings("extras.onnx_importer")

    model = onnx.shape_inference.infer_shapes(model, data_prop=True)
    for name, value in onnx_importer.ModelInfo(model).main_graph.input_map.items():
        for index, dimension in enumerate(value.type.tensor_type.shape.dim):
            if not dimension.HasField("dim_value"):
                raise UserError(
                    f"{path}: input '{name}': dimension {index} is dynamic "
                    f"({dimension.dim_param or '?'}): export the model with fixed sizes"
                )
    try:
        model, visible = fold_constants(rewrite(model))
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    info = onnx_importer.ModelInfo(model)
    context = ir.Context()
    torch_d.register_dialect(context)
    arrays: dict[str, np.ndarray] = {}

    base: Any = onnx_importer.NodeImporter

    class Importer(base):
        """Keeps the data of constants here."""

        __slots__ = ()

        def import_initializer(self, initializer: Any, extern_name: Any = None) -> Any:
            if initializer.name in visible:
                return base.import_initializer(self, initializer, extern_name)
            key = _new_key(initializer.name, arrays)
            arrays[key] = onnx.numpy_helper.to_array(initializer)
            with ir.InsertionPoint(self._b), ir.Location.name(initializer.name):
                value = self._cc.tensor_proto_to_builtin_type(initializer)
                literal = ir.Operation.create(
                    "torch.vtensor.literal",
                    results=[self._cc.tensor_proto_to_type(initializer)],
                    attributes={"value": resource(key, value)},
                )
            self._nv_map[initializer.name] = literal.result
            return literal.result

    try:
        with context:
            module = info.create_module(context=context)
            importer = Importer.define_function(info.main_graph, module.operation)
            # It makes objects of its own class only.
            importer.__class__ = Importer
            importer.import_all()
    except onnx_importer.OnnxImportError as error:
        raise UserError(f"{path}: torch-mlir cannot import it: {error}") from error
    request = {
        "text": text_of(module),
        "pipeline": ONNX_PIPELINE,
        "inputs": list(info.main_graph.input_map),
    }
    answer = lower_program(request, str(path))
    return answer.text, arrays | answer.literals


_RESOURCE = re.compile(r'^\s*"?([^\s":]+)"?: "0x([0-9A-Fa-f]+)"', re.MULTILINE)
_RESOURCE_USE = re.compile(
    r'dense_resource<"?([^">]+)"?> : tensor<(?:\d+x)*([a-z0-9]+)>'
)


def _resources(used_in: str, text: str) -> dict[str, np.ndarray]:
    """The resources at the end of `text` that `used_in` refers to."""
    types = dict(_RESOURCE_USE.findall(used_in))
    # The first four bytes are the alignment.
    return {
        found.group(1): flat_array(
            bytes.fromhex(found.group(2)[8:]), types[found.group(1)]
        )
        for found in _RESOURCE.finditer(text, max(text.rfind("{-#"), 0))
        if found.group(1) in types
    }


def _new_key(name: str, taken: Mapping[str, object]) -> str:
    """A resource key close to `name`."""
    key = re.sub(r"[^\w.$]", "_", name, flags=re.ASCII)
    if not re.match(r"[A-Za-z_]", key):
        key = "_" + key
    keys = chain([key], (f"{key}_{number}" for number in count(1)))
    return next(key for key in keys if key not in taken)


def _import_fx(
    program: ExportedProgram, func_name: str
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What to lower of a program, and its weights."""
    with quiet_torch():
        module, arrays = _fx_module(program, func_name)
    request = {
        "text": text_of(module),
        "pipeline": FX_PIPELINE,
        "inputs": user_inputs(program),
    }
    return request, arrays


def _fx_module(
    program: ExportedProgram, func_name: str
) -> tuple[Any, dict[str, np.ndarray]]:
    ir = bindings("ir")
    torch_d = bindings("dialects.torch")
    fx_importer = bindings("extras.fx_importer")
    decompositions = bindings("extras.fx_decomp_util")

    context = ir.Context()
    torch_d.register_dialect(context)
    check_static(program)
    program = functional_program(
        program, context.is_registered_operation, decompositions.get_decomposition_table
    )
    fold_constants(program)
    _match_signature(program)
    tensors = program.constants | program.state_dict
    weights = _Weights({id(tensor): name for name, tensor in tensors.items()})

    class Hooks(fx_importer.FxImporterHooks):
        def resolve_literal(self, gni: Any, literal: Any, info: Any) -> Any:
            return weights.literal(gni, literal)

    class LayerLocations(fx_importer.ContextCache):
        """Puts the module path of a graph node into the op's location."""

        def get_node_location(self, node: torch.fx.Node) -> Any:
            return tagged_location(module_path(node), source_line(node), self._c)

    importer = fx_importer.FxImporter(context=context, hooks=Hooks())
    importer._cc = LayerLocations(context, py_attr_tracker=importer._py_attr_tracker)
    try:
        importer.import_program(program, func_name=func_name)
    except (NotImplementedError, AssertionError, TypeError) as error:
        raise UserError(f"torch-mlir cannot import this model: {error}") from error
    return importer.module, weights.arrays


def _match_signature(program: ExportedProgram) -> None:
    """Make the signature say what the graph's inputs and outputs are by now."""
    from torch.export.graph_signature import (
        ConstantArgument,
        OutputKind,
        OutputSpec,
        TensorArgument,
    )

    signature = program.graph_signature
    *_, output = program.graph.nodes
    signature.output_specs[:] = [
        OutputSpec(
            OutputKind.USER_OUTPUT,
            ConstantArgument("", value)
            if isinstance(value, bool | int | float)
            else TensorArgument(value.name),
            None,
        )
        for value in output.args[0]
    ]
    names = {node.name for node in program.graph.nodes if node.op == "placeholder"}
    signature.input_specs[:] = [s for s in signature.input_specs if s.arg.name in names]


class _Weights:
    """The tensors an import has met, each turned into one resource."""

    def __init__(self, names: dict[int, str]):
        self.names = names
        self.arrays: dict[str, np.ndarray] = {}
        self._attributes: dict[int, tuple[torch.Tensor, Any]] = {}
        """By identity; the tensor is held so that no other one gets the same."""

    def literal(self, gni: Any, tensor: Any) -> Any:
        """Make `torch.vtensor.literal` for a tensor."""
        import torch

        ir = bindings("ir")

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

        name = self.names.get(id(tensor), "constant")
        if tensor.dtype in (torch.bfloat16, torch.float16) or tensor.dtype.is_complex:
            raise UserError(
                f"weight '{name}' has type {tensor.dtype}: call model.float() before "
                "the import"
            )
        with unset_fake_temporarily():
            # A copy: training the model later must not change the IR.
            array = np.array(tensor.detach().cpu().numpy(), order="C")
        key = _new_key(name, self.arrays)
        self.arrays[key] = array
        tensor_type = bindings("extras.fx_importer").create_mlir_tensor_type(tensor)
        return resource(key, tensor_type)
