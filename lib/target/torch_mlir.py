"""
The bridge to torch-mlir: the only file that imports it.

Torch programs and torch-dialect text come in; generic MLIR text goes out, with the
weights beside it as NumPy arrays, so that they never travel as numbers in text.
Pinned to torch-mlir 20261001: `_LayerLocations` extends a class of its importer.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from xdsl.utils.exceptions import ParseError
from xdsl.utils.lexer import Input, Span

from mase_opt.lib.errors import UserError

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
    "aten.gelu",
    "aten.group_norm",
    "aten.hardsigmoid",
    "aten.hardswish",
    "aten.hardtanh",
    "aten.instance_norm",
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
)
"""Ops that torch-mlir would take apart and that mean one layer to us."""

_LAYER_TAG = "mase.layer:"
_SOURCE_TAG = "mase.source:"


@contextlib.contextmanager
def quiet_torch() -> Iterator[None]:
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


def import_fx(
    program: ExportedProgram, func_name: str = "main"
) -> tuple[str, dict[str, np.ndarray]]:
    """
    Import an exported program: generic torch-dialect text and its weights.

    The text refers to weights as `dense_resource<key>`; the dict maps each key to
    the array, which shares memory with the program's tensors where it can. The
    program's graph is consumed. Raises `UserError` for programs that are dynamic,
    that mutate state, or that torch-mlir cannot represent.
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
    from torch_mlir import ir
    from torch_mlir.dialects import torch as torch_d

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
    return _generic_text(module), _resources(module)


def import_onnx(path: Path) -> tuple[str, dict[str, np.ndarray]]:
    """
    Read an ONNX file; result as of `import_fx`.

    Raises `UserError` if the file is no ONNX model, has dynamic dimensions or needs
    an operator that torch-mlir does not have.
    """
    try:
        import onnx
    except ImportError as error:
        raise UserError(
            f"{path}: reading ONNX needs the package onnx: pip install onnx"
        ) from error
    from google.protobuf.message import DecodeError
    from torch_mlir import ir
    from torch_mlir.dialects import torch as torch_d
    from torch_mlir.extras import onnx_importer

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
    return _generic_text(module), _resources(module)


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


def _resources(module: Any) -> dict[str, np.ndarray]:
    """The resources of a module, which MLIR hands out only as text."""
    types = dict(_RESOURCE_USE.findall(_generic_text(module)))
    section = module.operation.get_asm().rpartition("\n{-#")[2]
    arrays: dict[str, np.ndarray] = {}
    for found in _RESOURCE.finditer(section):
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
    from torch_mlir import ir
    from torch_mlir.dialects import torch as torch_d
    from torch_mlir.extras import fx_importer

    context = ir.Context()
    torch_d.register_dialect(context)
    _check_static(program)
    program = _functional_program(program, context)
    state = program.state_dict
    for name in program.graph_signature.inputs_to_buffers.values():
        # Buffers that are not saved with the model: torch keeps them elsewhere.
        if name not in state:
            state[name] = program.constants[name]
    names = {id(tensor): name for name, tensor in [*state.items()]}
    names |= {id(tensor): name for name, tensor in program.constants.items()}
    weights = _Weights(names)

    class Hooks(fx_importer.FxImporterHooks):
        def resolve_literal(self, gni: Any, literal: Any, info: Any) -> Any:
            return weights.literal(gni, literal)

    class LayerLocations(fx_importer.ContextCache):
        """Puts the module path of a graph node into the op's location."""

        def get_node_location(self, node: torch.fx.Node) -> Any:
            return ir.Location.name(
                _LAYER_TAG + _module_path(node),
                ir.Location.name(_SOURCE_TAG + _source_line(node), context=self._c),
                context=self._c,
            )

    importer = fx_importer.FxImporter(context=context, hooks=Hooks())
    importer._cc = LayerLocations(context, py_attr_tracker=importer._py_attr_tracker)
    input_names = [str(name) for name in program.graph_signature.user_inputs]
    try:
        importer.import_frozen_program(program, func_name=func_name)
    except (NotImplementedError, AssertionError, TypeError) as error:
        raise UserError(f"torch-mlir cannot import this model: {error}") from error
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
        self._attributes: dict[int, Any] = {}

    def literal(self, gni: Any, tensor: Any) -> Any:
        """Make `torch.vtensor.literal` for a tensor, sharing its memory."""
        import torch
        from torch_mlir import ir

        if not isinstance(tensor, torch.Tensor):
            return None
        vtensor_type = gni._cc.tensor_to_vtensor_type(tensor)
        if id(tensor) not in self._attributes:
            self._attributes[id(tensor)] = self._elements(tensor)
        return ir.Operation.create(
            "torch.vtensor.literal",
            results=[vtensor_type],
            attributes={"value": self._attributes[id(tensor)]},
        ).result

    def _elements(self, tensor: torch.Tensor) -> Any:
        import torch
        from torch._subclasses.fake_tensor import unset_fake_temporarily
        from torch_mlir import ir
        from torch_mlir.extras.fx_importer import create_mlir_tensor_type

        name = self.names.get(id(tensor), "constant")
        if tensor.dtype == torch.bfloat16 or tensor.dtype.is_complex:
            raise UserError(
                f"weight '{name}' has type {tensor.dtype}: call model.float() before "
                "the import"
            )
        with unset_fake_temporarily():
            array = tensor.detach().cpu().contiguous().numpy()
        tensor_type = create_mlir_tensor_type(tensor)
        if array.size <= 1:
            return ir.DenseElementsAttr.get(
                array, type=tensor_type.element_type, shape=array.shape
            )
        key = re.sub(r"[^\w.$]", "_", name)
        if not re.match(r"[A-Za-z_]", key):
            key = "_" + key
        stem, count = key, 0
        while key in self.arrays:
            count += 1
            key = f"{stem}_{count}"
        self.arrays[key] = array
        return ir.DenseResourceElementsAttr.get_from_buffer(array, key, tensor_type)


def _check_static(program: ExportedProgram) -> None:
    """Refuse symbolic dimensions, naming the input and the dimension."""
    import torch

    for node in program.graph.nodes:
        if node.op != "placeholder":
            continue
        value = node.meta.get("val")
        if not isinstance(value, torch.Tensor):
            continue
        for index, size in enumerate(value.shape):
            if isinstance(size, torch.SymInt):
                raise UserError(
                    f"input '{node.name}': dimension {index} is dynamic ({size}); "
                    "export the model with fixed sizes (torch.export.export without "
                    "dynamic_shapes)"
                )


def _functional_program(program: ExportedProgram, context: Any) -> ExportedProgram:
    """
    Make a program without in-place ops, of ops that torch-mlir knows.

    Decomposing in torch traces the whole model again, which takes longer than all
    the rest; it is left out when every in-place op can be replaced right here.
    """
    _drop_no_ops(program.graph)
    if all(
        _is_known(node, context) for node in program.graph.nodes
    ) and _replace_in_place_ops(program.graph):
        return program
    program = program.run_decompositions(_decomposition_table(context))
    signature = program.graph_signature
    mutated = {
        *signature.buffers_to_mutate.values(),
        *signature.user_inputs_to_mutate.values(),
    }
    if mutated:
        raise UserError(
            f"the model writes to {', '.join(sorted(mutated))} when it runs: "
            "call model.eval() before the export, or return the state as an output"
        )
    _drop_no_ops(program.graph)
    _restore_batch_norm(program.graph)
    return program


def _drop_no_ops(graph: torch.fx.Graph) -> None:
    """Remove dropout that does nothing, and checks of what is static here."""
    for node in list(graph.nodes):
        name = getattr(node.target, "__name__", "")
        if name.startswith("_assert_tensor_metadata") and not node.users:
            graph.erase_node(node)
        elif name.partition(".")[0] in _DROPOUTS and node.args[2] is False:
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)


_DROPOUTS = frozenset(
    {
        "alpha_dropout",
        "alpha_dropout_",
        "dropout",
        "dropout_",
        "feature_alpha_dropout",
        "feature_alpha_dropout_",
        "feature_dropout",
        "feature_dropout_",
    }
)
"""Their arguments are input, probability and whether they are active."""


def _restore_batch_norm(graph: torch.fx.Graph) -> None:
    """Bring the form that decompositions leave back to the layer."""
    import operator

    import torch

    aten = torch.ops.aten
    for node in list(graph.nodes):
        if node.target != aten._native_batch_norm_legit_no_training.default:
            continue
        if any(u.target != operator.getitem or u.args[1] != 0 for u in node.users):
            continue
        x, weight, bias, mean, variance, momentum, eps = node.args
        with graph.inserting_before(node):
            layer = graph.call_function(
                aten.batch_norm.default,
                (x, weight, bias, mean, variance, False, momentum, eps, False),
            )
        for user in list(node.users):
            layer.meta = user.meta
            user.replace_all_uses_with(layer)
            graph.erase_node(user)
        graph.erase_node(node)


def _mlir_name(target: torch._ops.OpOverload) -> str:
    schema = target._schema
    name = f"torch.{schema.name.replace('::', '.')}"
    return f"{name}.{schema.overload_name}" if schema.overload_name else name


def _is_known(node: torch.fx.Node, context: Any) -> bool:
    """Whether torch-mlir has an op of its own for this node."""
    import torch

    if not isinstance(node.target, torch._ops.OpOverload):
        return True
    return context.is_registered_operation(_mlir_name(node.target))


def _decomposition_table(context: Any) -> dict[Any, Any]:
    """torch-mlir's decompositions, except of ops that need none."""
    import torch
    from torch_mlir.extras.fx_decomp_util import get_decomposition_table

    return {
        op: rule
        for op, rule in get_decomposition_table().items()
        if op != torch.ops.aten._native_batch_norm_legit_no_training.default
        and not context.is_registered_operation(_mlir_name(op))
    }


def _replace_in_place_ops(graph: torch.fx.Graph) -> bool:
    """
    Turn `y = op_(x, …)` into `y = op(x, …)`, later uses of x into uses of y.

    That is right where x shares its memory with no other value. Returns false, with
    the graph unchanged, where an in-place op is not certain to be like that.
    """
    import torch

    replacements: dict[torch.fx.Node, Any] = {}
    for node in graph.nodes:
        if not isinstance(node.target, torch._ops.OpOverload):
            continue
        if not node.target._schema.is_mutable:
            continue
        functional = _functional_overload(node)
        target = node.args[0] if node.args else None
        if functional is None or not isinstance(target, torch.fx.Node):
            return False
        fresh = target in replacements or not _may_alias(target)
        if not fresh or any(
            user is not node and user not in replacements and _may_alias(user)
            for user in target.users
        ):
            return False
        replacements[node] = functional
    order = {node: index for index, node in enumerate(graph.nodes)}
    for node, functional in replacements.items():
        source = node.args[0]
        assert isinstance(source, torch.fx.Node)
        for user in list(source.users):
            if order[user] > order[node]:
                user.replace_input_with(source, node)
        node.target = functional
    return True


def _functional_overload(node: torch.fx.Node) -> Any:
    """The op without side effect that computes the same, if there is one."""
    import torch

    target = node.target
    assert isinstance(target, torch._ops.OpOverload)
    packet = target._schema.name.removeprefix("aten::")
    if not packet.endswith("_") or packet.endswith("__"):
        return None
    functional = getattr(torch.ops.aten, packet[:-1], None)
    overload = getattr(functional, target._overloadname, None)
    if overload is None:
        return None
    if [a.name for a in overload._schema.arguments] != [
        a.name for a in target._schema.arguments
    ]:
        return None
    # The functional form promotes types, the in-place form keeps the first one's.
    dtypes = {
        argument.meta["val"].dtype
        for argument in node.all_input_nodes
        if isinstance(argument.meta.get("val"), torch.Tensor)
    }
    return overload if len(dtypes) == 1 else None


_FRESH_COMPOSITES = frozenset(
    {
        "aten::adaptive_avg_pool2d",
        "aten::batch_norm",
        "aten::conv1d",
        "aten::conv2d",
        "aten::conv_transpose2d.input",
        "aten::group_norm",
        "aten::layer_norm",
        "aten::linear",
        "aten::max_pool2d",
    }
)
"""Ops made of other ops (which may hand through an input) that never do so."""


def _may_alias(node: torch.fx.Node) -> bool:
    """Whether the node's result may be memory of another value."""
    import torch

    if node.op == "output":
        return False
    if not isinstance(node.target, torch._ops.OpOverload):
        return True
    if node.target.name() in _FRESH_COMPOSITES:
        return False
    if any(result.alias_info for result in node.target._schema.returns):
        return True
    return node.target.has_kernel_for_dispatch_key(
        torch._C.DispatchKey.CompositeImplicitAutograd
    )


def _module_path(node: torch.fx.Node) -> str:
    """The path of the innermost module the node was traced in."""
    stack = node.meta.get("nn_module_stack")
    if not stack:
        return ""
    path = next(reversed(stack.values()))[0]
    return _clean_path(path)


def _clean_path(path: str) -> str:
    """
    Undo torch's spelling of module paths.

    Older traces write `L['self'].encoder`, repeated calls add `@1` to the name.
    """
    path = re.sub(r"^L\['self'\]\.?", "", path)
    path = re.sub(r"\[['\"]?(\w+)['\"]?\]", r".\1", path)
    return re.sub(r"@\d+", "", path).removeprefix(".")


def _source_line(node: torch.fx.Node) -> str:
    """
    `file:line` of the innermost statement outside of torch, else of any.

    The file is relative to the current folder or to `site-packages`, so that the
    result does not depend on where things are installed.
    """
    frames = re.findall(
        r'File "([^"]+)", line (\d+)', node.meta.get("stack_trace") or ""
    )
    own = [frame for frame in frames if "/torch/nn/" not in frame[0]]
    if not frames:
        return ""
    file, line = (own or frames)[-1]
    file = file.rpartition("/site-packages/")[2]
    return f"{file.removeprefix(f'{Path.cwd()}/')}:{line}"


def _run_backend_pipeline(
    module: Any, pipeline: str = "torchdynamo-export-to-torch-backend-pipeline"
) -> None:
    """
    Bring a module into the form that the conversion reads.

    In-place variants, shape arithmetic and ops that are not in `WHOLE_OPS` but can
    be taken apart are gone afterwards. Raises `UserError` if torch-mlir gives up.
    """
    from torch_mlir import ir
    from torch_mlir.passmanager import PassManager

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
            PassManager.parse(pipeline).run(module.operation)
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
    from torch_mlir import ir

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
    from torch_mlir import ir

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
    from torch_mlir import ir

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
            from torch_mlir import ir
            from torch_mlir.execution_engine import ExecutionEngine
        except ImportError as error:
            raise UserError(
                "simulation needs the compiler in torch-mlir: pip install torch-mlir"
            ) from error
        with ir.Context():
            module = ir.Module.parse(text)
            self._engine = ExecutionEngine(module, opt_level=opt_level)

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
