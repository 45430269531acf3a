"""
Constant folding of exported torch programs, by torch itself.

What depends on no input is computed here, with the arithmetic of the framework that
the model comes from: torch-mlir's folders get numbers of mixed kinds wrong.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from mase_opt.lib.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch.export import ExportedProgram


def fold_constants(program: ExportedProgram) -> None:
    """
    Replace what depends on no input of `program` by constants, in place.

    Random numbers stay, and ops that are not torch's own. Parameters that only such
    constants were made of are no longer in the program. Raises `UserError` where torch
    cannot compute a value.
    """
    import torch
    from torch._subclasses.fake_tensor import unset_fake_temporarily
    from torch.fx.node import map_arg

    graph = program.graph
    state = _state(program)
    names = {node: state_name for node, (state_name, _) in state.items()}
    known: dict[torch.fx.Node, Any] = {
        node: value for node, (_, value) in state.items()
    }
    computed: list[torch.fx.Node] = []
    with unset_fake_temporarily(), torch.no_grad():
        for node in graph.nodes:
            if node.op != "call_function" or not _is_pure(node.target):
                continue
            if not all(source in known for source in node.all_input_nodes):
                continue
            target: Any = node.target
            args: Any = map_arg(node.args, known.__getitem__)
            kwargs: Any = map_arg(node.kwargs, known.__getitem__)
            try:
                known[node] = target(*args, **kwargs)
            except (RuntimeError, TypeError, ValueError, IndexError) as error:
                raise UserError(
                    f"torch cannot compute the constant '{node.name}' "
                    f"({target}): {str(error).partition(chr(10))[0]}"
                ) from error
            sources = [names[n] for n in node.all_input_nodes if n in names]
            names[node] = next(iter(sources), "constant")
            computed.append(node)
    for node in computed:
        users = [user for user in node.users if user not in known]
        if not users:
            continue
        value = known[node]
        if isinstance(value, torch.Tensor):
            replacement = _new_constant(program, names[node], value, node)
        elif isinstance(value, (bool, int, float)):
            replacement = value
        else:
            continue  # parts of it are constants of their own
        for user in users:
            _replace_input(user, node, replacement)
    for node in reversed(computed):
        if not node.users:
            graph.erase_node(node)
    _drop_unused(program, state)


def _state(program: ExportedProgram) -> dict[torch.fx.Node, tuple[str, torch.Tensor]]:
    """The inputs of the graph that are parameters, buffers or constants."""
    import torch
    from torch.export.graph_signature import InputKind

    values: dict[str, Any] = {**program.constants, **program.state_dict}
    nodes = {
        node.name: node for node in program.graph.nodes if node.op == "placeholder"
    }
    result: dict[torch.fx.Node, tuple[str, torch.Tensor]] = {}
    for spec in program.graph_signature.input_specs:
        if spec.kind in (
            InputKind.PARAMETER,
            InputKind.BUFFER,
            InputKind.CONSTANT_TENSOR,
        ):
            assert spec.target is not None
            value = values.get(spec.target)
            if isinstance(value, torch.Tensor):
                result[nodes[spec.arg.name]] = (spec.target, value)
    return result


def _is_pure(target: Any) -> bool:
    """Whether the result depends on the arguments alone, and nothing else changes."""
    import torch

    if target is operator.getitem:
        return True
    schema = getattr(target, "_schema", None)
    # torch's own ops; and what a tensor holds that is not filled is anything.
    return (
        schema is not None
        and target.namespace in ("aten", "prims")
        and not schema.is_mutable
        and torch.Tag.nondeterministic_seeded not in target.tags
        and not schema.name.startswith(("aten::empty", "aten::new_empty"))
    )


def _new_constant(
    program: ExportedProgram, name: str, value: torch.Tensor, like: torch.fx.Node
) -> torch.fx.Node:
    """Add a constant to a program: the node that stands for it."""
    from torch.export.graph_signature import InputKind, InputSpec, TensorArgument

    first = next(iter(program.graph.nodes))
    target, taken = name, program.constants.keys() | program.state_dict.keys()
    while target in taken:
        target += "_"
    with program.graph.inserting_before(first):
        node = program.graph.placeholder(target.replace(".", "_"))
    node.meta = dict(like.meta)
    program.graph_signature.input_specs.insert(
        0, InputSpec(InputKind.CONSTANT_TENSOR, TensorArgument(node.name), target, None)
    )
    program.constants[target] = value
    return node


def _replace_input(user: torch.fx.Node, node: torch.fx.Node, value: Any) -> None:
    from torch.fx.node import map_arg

    def replaced(source: torch.fx.Node) -> Any:
        return value if source is node else source

    user.args = map_arg(user.args, replaced)
    user.kwargs = map_arg(user.kwargs, replaced)


def _drop_unused(
    program: ExportedProgram, state: dict[torch.fx.Node, tuple[str, torch.Tensor]]
) -> None:
    """Remove parameters, buffers and constants that nothing reads."""
    unused = [node for node in state if not node.users]
    dropped = {node.name for node in unused}
    specs = program.graph_signature.input_specs
    specs[:] = [spec for spec in specs if spec.arg.name not in dropped]
    for node in unused:
        program.graph.erase_node(node)
