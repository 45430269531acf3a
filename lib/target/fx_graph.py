"""
Clean-up of exported torch programs before their import: what needs no MLIR.

Programs become free of in-place ops and of ops that the importer does not know, most
often without tracing them again.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from mase_opt.lib.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch.export import ExportedProgram


def check_static(program: ExportedProgram) -> None:
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


def functional_program(
    program: ExportedProgram,
    known: Callable[[str], bool],
    decompositions: Callable[[], Mapping[Any, Any]],
) -> ExportedProgram:
    """
    Make a program without in-place ops, of ops whose names are `known`.

    Decomposing in torch (with those of `decompositions` that are needed) traces the
    whole model again, which takes longer than all the rest; it is left out when every
    in-place op can be replaced right here. Raises `UserError` if the program changes
    its inputs or state.
    """
    _drop_no_ops(program.graph)
    _drop_none_results(program)

    def stays(name: str) -> bool:
        return known(name) and name not in _DECOMPOSED

    names = [name for node in program.graph.nodes if (name := op_name(node))]
    if all(map(stays, names)) and _replace_in_place_ops(program.graph):
        return program
    table = {
        op: rule
        for op, rule in decompositions().items()
        if _name(op) != _BATCH_NORM and not stays(_name(op))
    }
    try:
        program = cast(Any, program).run_decompositions(table)
    except Exception as error:  # it runs the model's ops, which raise what they like
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise UserError(f"torch cannot take the model apart: {reason}") from error
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


_DECOMPOSED = {
    "torch.aten.meshgrid",
    "torch.aten.meshgrid.indexing",
}
"""Ops that torch-mlir 20261001 knows but takes apart wrongly."""

_BATCH_NORM = "torch.aten._native_batch_norm_legit_no_training"


def op_name(node: torch.fx.Node) -> str | None:
    """The name in MLIR of the op that a node calls, None for other nodes."""
    return _name(node.target) if _schema(node) is not None else None


def _name(overload: Any) -> str:
    schema = overload._schema
    name = f"torch.{schema.name.replace('::', '.')}"
    return f"{name}.{schema.overload_name}" if schema.overload_name else name


def _schema(node: torch.fx.Node) -> Any:
    """The schema of the op that a node calls, None for other nodes."""
    return getattr(node.target, "_schema", None)


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


def _drop_none_results(program: ExportedProgram) -> None:
    """Remove results that are always None, and inputs that are constants."""
    import torch

    *_, output = program.graph.nodes
    output.args = (tuple(value for value in output.args[0] if value is not None),)
    for node in list(program.graph.nodes):
        if node.op != "placeholder" or node.users:
            continue
        if not isinstance(node.meta.get("val"), torch.Tensor):
            program.graph.erase_node(node)


def _restore_batch_norm(graph: torch.fx.Graph) -> None:
    """Bring the form that decompositions leave back to the layer."""
    import torch

    aten = torch.ops.aten
    for node in list(graph.nodes):
        if op_name(node) != _BATCH_NORM:
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


def _replace_in_place_ops(graph: torch.fx.Graph) -> bool:
    """
    Turn `y = op_(x, …)` into `y = op(x, …)`, later uses of x into uses of y.

    That is right where x shares its memory with no other value. Returns false, with
    the graph unchanged, where an in-place op is not certain to be like that.
    """
    import torch

    replacements: dict[torch.fx.Node, Any] = {}
    for node in graph.nodes:
        if (schema := _schema(node)) is None or not schema.is_mutable:
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

    schema = _schema(node)
    packet = schema.name.removeprefix("aten::")
    if not packet.endswith("_") or packet.endswith("__"):
        return None
    functional = getattr(torch.ops.aten, packet[:-1], None)
    overload = getattr(functional, schema.overload_name or "default", None)
    if overload is None:
        return None
    if [a.name for a in overload._schema.arguments] != [
        a.name for a in schema.arguments
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
    if node.op == "output":
        return False
    schema = _schema(node)
    if schema is None:
        return True
    target: Any = node.target
    if target.name() in _FRESH_COMPOSITES:
        return False
    if any(result.alias_info for result in schema.returns):
        return True
    return bool(target._can_decompose())


def user_inputs(program: ExportedProgram) -> list[str]:
    """The names of the tensors to pass; other inputs are built in as constants."""
    from torch.export.graph_signature import InputKind, TensorArgument

    return [
        spec.arg.name
        for spec in program.graph_signature.input_specs
        if spec.kind is InputKind.USER_INPUT and isinstance(spec.arg, TensorArgument)
    ]


def module_path(node: torch.fx.Node) -> str:
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


def source_line(node: torch.fx.Node) -> str:
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
