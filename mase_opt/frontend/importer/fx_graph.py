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
    in-place op can be replaced right here. What is written into an input is seen by
    all that follows in the program, and by nobody outside. Raises `UserError` for
    programs whose results are not a function of their inputs, or that use complex
    numbers.
    """
    _check_examples(program)
    _drop_no_ops(program.graph)
    _check_real(program)
    _check_deterministic(program)

    def stays(name: str) -> bool:
        return known(name) and name not in _DECOMPOSED

    names = [name for node in program.graph.nodes if (name := op_name(node))]
    if not all(map(stays, names)) or not _replace_in_place_ops(program.graph):
        table = {
            op: rule
            for op, rule in decompositions().items()
            if _name(op) != _BATCH_NORM and not stays(_name(op))
        }
        try:
            program = cast(Any, program).run_decompositions(table)
        except Exception as error:  # whatever the model's ops raise
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            raise UserError(f"torch cannot take the model apart: {reason}") from error
        _drop_no_ops(program.graph)
        _restore_batch_norm(program.graph)
    _drop_input_writes(program)
    _drop_none_results(program)
    return program


def _check_examples(program: ExportedProgram) -> None:
    """Refuse a program traced with one tensor for two inputs."""
    import torch
    from torch.export.graph_signature import InputKind
    from torch.utils import _pytree as pytree

    seen: dict[int, str] = {}
    specs = program.graph_signature.input_specs
    names = [spec.arg.name for spec in specs if spec.kind is InputKind.USER_INPUT]
    for name, value in zip(
        names, pytree.tree_leaves(program.example_inputs), strict=False
    ):
        if not isinstance(value, torch.Tensor):
            continue
        if (other := seen.setdefault(id(value), name)) != name:
            raise UserError(
                f"the example inputs '{other}' and '{name}' are one tensor, and "
                "torch.export takes every use of it for the last of them: pass a copy "
                "(.clone()) for each input"
            )


def _check_real(program: ExportedProgram) -> None:
    """Refuse complex numbers, naming the input, the weight or the op."""
    import torch

    weights = {
        spec.arg.name: spec.target
        for spec in program.graph_signature.input_specs
        if spec.target is not None
    }
    for node in program.graph.nodes:
        value = node.meta.get("val")
        if not isinstance(value, torch.Tensor) or not value.is_complex():
            continue
        if node.op != "placeholder":
            where = _where(node)
        elif node.name in weights:
            where = f"weight '{weights[node.name]}'"
        else:
            where = f"input '{node.name}'"
        raise UserError(
            f"{where}: {value.dtype} has no number format: compute with the real and "
            "the imaginary part as two tensors"
        )


def _check_deterministic(program: ExportedProgram) -> None:
    """Refuse what draws random numbers, depends on the batch or keeps state."""
    problems: dict[str, list[torch.fx.Node]] = {}
    for node in program.graph.nodes:
        if reason := _chance(node) or _batch_dependence(node):
            problems.setdefault(reason, []).append(node)
    for reason, (first, *others) in problems.items():
        more = f" and {len(others)} more" if others else ""
        raise UserError(f"{_where(first)}{more}: {reason}")


def _where(node: torch.fx.Node) -> str:
    """`torch.aten.dropout in 'encoder.drop' at model.py:7`"""
    return f"{op_name(node) or node.name}{_place(node)}"


def _place(node: torch.fx.Node) -> str:
    path, line = module_path(node), source_line(node)
    return (f" in '{path}'" if path else "") + (f" at {line}" if line else "")


def _arguments(node: torch.fx.Node) -> dict[str, Any]:
    """What the op of `node` gets for each of its arguments."""
    arguments: dict[str, Any] = {}
    for position, argument in enumerate(_schema(node).arguments):
        default = node.kwargs.get(argument.name, argument.default_value)
        given = position < len(node.args)
        arguments[argument.name] = node.args[position] if given else default
    return arguments


def _draws(node: torch.fx.Node) -> bool:
    """Whether the op of `node` draws random numbers, at least in training."""
    import torch

    target: Any = node.target
    return torch.Tag.nondeterministic_seeded in target.tags or any(
        argument.name == "generator" for argument in _schema(node).arguments
    )


def _is_layer(node: torch.fx.Node) -> bool:
    """Whether a layer of torch.nn, which knows its mode, calls the op of `node`."""
    stack = node.meta.get("nn_module_stack")
    kind = str(next(reversed(stack.values()))[1]) if stack else ""
    return "torch.nn.modules." in kind


def _chance(node: torch.fx.Node) -> str | None:
    """Why the result of `node` is random, if it is."""
    if _schema(node) is None:
        return None
    arguments = _arguments(node)
    share = arguments.get("dropout_p")
    active = arguments.get("train", arguments.get("training", share))
    if active in (False, 0.0) or not (share or _draws(node)):
        return None
    if active is None:
        return (
            "it draws random numbers, which a circuit does not have: pass them as an "
            "input of the model"
        )
    if _is_layer(node):
        return "it is random in training mode: call model.eval() before the export"
    setting = "training=self.training"
    if share is not None:
        setting = f"dropout_p={share} if self.training else 0.0"
    return (
        "its arguments ask for training mode, in which it is random: pass "
        f"{setting}, and call model.eval() before the export"
    )


def _batch_dependence(node: torch.fx.Node) -> str | None:
    """Why the result of a normalization depends on the batch, if it does."""
    name = op_name(node)
    if name not in ("torch.aten.batch_norm", "torch.aten.instance_norm"):
        return None
    arguments = _arguments(node)
    if not arguments.get("training", arguments.get("use_input_stats")):
        return None
    if arguments["running_mean"] is not None:
        setting = "" if _is_layer(node) else "pass training=self.training, and "
        return f"it is in training mode: {setting}call model.eval() before the export"
    if name == "torch.aten.instance_norm":
        return None
    return (
        "it keeps no running statistics (track_running_stats=False), so that its "
        "result depends on all samples of a batch: keep them, and train it again, or "
        "use a norm within a sample (group_norm, layer_norm)"
    )


def _drop_input_writes(program: ExportedProgram) -> None:
    """
    Remove the results that stand for what was written into inputs.

    Raises `UserError` for what is written into buffers and parameters: state that
    lasts from call to call.
    """
    from torch.export.graph_signature import OutputKind

    *_, output = program.graph.nodes
    signature = program.graph_signature
    kept = [
        (spec, value)
        for spec, value in zip(signature.output_specs, output.args[0], strict=True)
        if spec.kind is not OutputKind.USER_INPUT_MUTATION
    ]
    for spec, value in kept:
        if spec.kind is OutputKind.USER_OUTPUT:
            continue
        remedy = "pass the state as an input, and return the new one as an output"
        if _is_layer(value):
            remedy = "call model.eval() before the export"
        place = _place(value)
        raise UserError(
            f"the model writes to its state '{spec.target}'{place} when it runs, and a "
            f"circuit keeps nothing from sample to sample: {remedy}"
        )
    output.args = (tuple(value for _, value in kept),)
    signature.output_specs[:] = [spec for spec, _ in kept]


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
    """
    Remove dropout that drops nothing, and checks of what is static here.

    Random numbers that nothing uses go, too: torch-mlir keeps them.
    """
    for node in list(graph.nodes):
        name = getattr(node.target, "__name__", "")
        if name.startswith("_assert_tensor_metadata") and not node.users:
            graph.erase_node(node)
        elif name.partition(".")[0] in _DROPOUTS and not (
            node.args[1] and node.args[2]
        ):
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)
        elif (
            (schema := _schema(node)) is not None
            and not (node.users or schema.is_mutable)
            and _draws(node)
        ):
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
    specs = program.graph_signature.output_specs
    kept = [(s, v) for s, v in zip(specs, output.args[0], strict=True) if v is not None]
    specs[:] = [spec for spec, _ in kept]
    output.args = (tuple(value for _, value in kept),)
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
