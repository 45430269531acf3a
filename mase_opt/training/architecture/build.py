"""Modules that an architecture describes."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from mase_opt.frontend.load_model import python_module
from mase_opt.lib.errors import UserError
from mase_opt.lib.suggest import did_you_mean
from mase_opt.training.architecture import layers as own_layers
from mase_opt.training.architecture.schema import (
    Architecture,
    Layer,
    Skip,
    Submodel,
    read_architecture,
)

LAYERS = "layers.py"
"""The file beside an architecture with layers of its own."""
Shape = tuple[int, ...]
Skips = dict[str, Tensor]
Arrival = tuple[str, str]
"""The source of a skip, and how it is joined: `add` or `cat`."""

_SIZES = ("in_channels", "in_features", "num_features", "num_channels", "input_size")
"""Arguments that the shape of the input decides."""
_DEVIATION = 0.02


class Chain(nn.ModuleDict):
    """
    The layers of a submodel, by their names.

    `forward` takes the input and the skips of this pass, a dictionary that is empty at
    first. Skips to other submodels are in `ArchitectureModel.global_skip_outputs`.
    """

    def __init__(self, prefix: str, shared: Skips, *, zero_out_skips: bool):
        super().__init__()
        self.input_name = f"{prefix}_input"
        self.arrivals: dict[str, list[Arrival]] = {}
        self.local: set[str] = set()
        """Sources of skips within this chain."""
        self.wide: set[str] = set()
        """Sources of skips to others."""
        self._shared = shared
        self._zero = zero_out_skips

    def forward(self, x: Tensor, new_skip_dict: Skips | None = None) -> Tensor:
        """`[N, …]` to `[N, …]`."""
        skips: Skips = {} if new_skip_dict is None else new_skip_dict
        self.keep(self.input_name, x, skips)
        for name, layer in self.items():
            x = self.joined(name, layer(x), skips)
            self.keep(name, x, skips)
        return x

    def keep(self, name: str, x: Tensor, skips: Skips) -> None:
        """Note the result of a layer for those that skips lead to."""
        if name in self.local:
            skips[name] = x
        if name in self.wide:
            self._shared[name] = x

    def skip(self, source: str, skips: Skips) -> Tensor:
        """What a skip brings from `source`."""
        return skips[source] if source in self.local else self._shared[source]

    def joined(self, name: str, x: Tensor, skips: Skips) -> Tensor:
        """The result `x` of a layer with the skips that arrive there."""
        for source, kind in self.arrivals.get(name, ()):
            skip = self.skip(source, skips)
            if self._zero:
                skip = torch.zeros_like(skip)
            x = x + skip if kind == "add" else torch.cat([x, skip], dim=1)
        return x


class ArchitectureModel(nn.Module):
    """
    The components of an architecture.

    `forward` runs the generator, or the first component if none is called so, and
    `discriminate` the discriminator. A class of the user's may derive from this one and
    run `self.model_components[component][submodel](x, new_skip_dict)` itself; it clears
    `global_skip_outputs` after each pass.
    """

    def __init__(self, architecture: Architecture):
        super().__init__()
        self.architecture = architecture
        self.global_skip_outputs: Skips = {}
        made = _Builder(architecture, self.global_skip_outputs).components()
        self.model_components = nn.ModuleDict(cast(Any, made))
        kinds = {about.adv_type: n for n, about in architecture.components.items()}
        self.generator = kinds.get("generator", next(iter(made)))
        self.discriminator = kinds.get("discriminator")

    def forward(self, x: Tensor) -> Tensor:
        """The generator's result `[N, …]` for samples `[N, …]`."""
        return self.run(self.generator, x)

    def discriminate(self, x: Tensor) -> Tensor:
        """How likely samples `[N, …]` are no generated ones: `[N, 1]`."""
        assert self.discriminator is not None
        return self.run(self.discriminator, x)

    def run(self, component: str, x: Tensor) -> Tensor:
        """The result of the last submodel of a component, for one pass."""
        outputs: dict[str, Tensor] = {}
        chains: Any = self.model_components[component]
        last = x
        try:
            for name, chain in chains.items():
                source = self.architecture.submodels[name].submodel_inputs
                given = outputs.get(source, x) if isinstance(source, str) else x
                last = outputs[name] = chain(given, {})
        finally:
            self.global_skip_outputs.clear()
        return last


def architecture_model(path: str, flow: str | None = None) -> ArchitectureModel:
    """
    The model of an architecture file, as class `flow`, `file.py:name`, if given.

    Raises `UserError` for what the file says wrongly.
    """
    architecture = read_architecture(path)
    if flow is None:
        return ArchitectureModel(architecture)
    place, _, name = flow.rpartition(":")
    module = python_module(place or flow)
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, ArchitectureModel)
        and value.__module__ == module.__name__
        and (not place or value.__name__ == name)
    ]
    if len(found) != 1:
        raise UserError(
            f"flow '{flow}': expected one subclass of ArchitectureModel"
            f"{f' called {name!r}' if place else ''}, found {len(found)}"
        )
    return found[0](architecture)


class _Builder:
    """Builds chains in the order in which they run, with the shapes in between."""

    def __init__(self, architecture: Architecture, shared: Skips):
        self._architecture = architecture
        self._shared = shared
        self._shapes: dict[str, Shape] = {}
        """Of the results of submodels."""
        self._own = _own_layers(Path(architecture.path).parent / LAYERS)
        self._names = _layer_names(architecture)
        self._where = f"architecture '{architecture.path}'"

    def components(self) -> dict[str, nn.ModuleDict]:
        """The chains of each component."""
        made: dict[str, nn.ModuleDict] = {}
        chains: dict[str, Chain] = {}
        for component, name, submodel in self._architecture.in_order():
            zero = self._architecture.components[component].zero_out_skips
            prefix = submodel.layer_name_prefix
            chains[name] = Chain(prefix, self._shared, zero_out_skips=zero)
            made.setdefault(component, nn.ModuleDict())[name] = chains[name]
        self._connect(chains)
        for component, name, submodel in self._architecture.in_order():
            self._fill(chains[name], name, submodel)
            if name == self._architecture.components[component].submodels[-1]:
                self._shared.clear()
        return made

    def _connect(self, chains: Mapping[str, Chain]) -> None:
        """Note where skips come from and go to."""
        order = [*self._names]
        for _, name, submodel in self._architecture.in_order():
            for source, skip in submodel.skip_connections.items():
                place = f"{self._where}: {name}.skip_connections.{source}"
                self._known(source, place)
                for target, kind in _targets(skip):
                    self._known(target, f"{place}.future_layers")
                    if order.index(target) <= order.index(source):
                        raise UserError(
                            f"{place}: '{target}' runs before '{source}': a skip goes "
                            "to a later layer"
                        )
                    start, end = self._names[source], self._names[target]
                    if start[0] != end[0]:
                        raise UserError(
                            f"{place}: '{source}' is in component '{start[0]}', "
                            f"'{target}' in '{end[0]}': skips stay in one"
                        )
                    chains[end[1]].arrivals.setdefault(target, []).append(
                        (source, kind)
                    )
                    inside = start[1] == end[1]
                    chain = chains[start[1]]
                    (chain.local if inside else chain.wide).add(source)

    def _known(self, layer: str, place: str) -> None:
        if layer not in self._names:
            near = did_you_mean(layer, self._names)
            raise UserError(f"{place}: there is no layer '{layer}'{near}")

    def _fill(self, chain: Chain, name: str, submodel: Submodel) -> None:
        """Add the layers, each with the shape that arrives at it."""
        source = submodel.submodel_inputs
        if isinstance(source, str):
            shape = self._shapes[source]
        else:
            shape = tuple(source.input_size)
        x, skips = torch.zeros(1, *shape), Skips()
        chain.keep(chain.input_name, x, skips)
        for index, about in enumerate(submodel.layers):
            place = f"{self._where}: {name}.layers[{index}]"
            layer_name = _layer_name(submodel, index)
            layer = self._layer(about, tuple(x.shape[1:]), place)
            chain[layer_name] = layer
            with _trial(layer), _refused(place, about.layer_type, x):
                result = cast("Tensor", layer(x))
            self._check_arrivals(chain, layer_name, result, skips, place)
            x = chain.joined(layer_name, result, skips)
            chain.keep(layer_name, x, skips)
        self._shapes[name] = tuple(x.shape[1:])

    def _check_arrivals(
        self, chain: Chain, name: str, x: Tensor, skips: Skips, place: str
    ) -> None:
        """Raises `UserError` for a skip whose shape does not fit the result `x`."""
        for source, kind in chain.arrivals.get(name, ()):
            skip = chain.skip(source, skips)
            same = skip.shape == x.shape
            if kind == "cat":
                same = skip.ndim == x.ndim and skip.shape[2:] == x.shape[2:]
                # Those before it have made channels more.
                x = torch.cat([x, skip], dim=1) if same else x
            if not same:
                raise UserError(
                    f"{place}: skip '{kind}' from '{source}' {_shown(skip)} does not "
                    f"fit '{name}' {_shown(x)}"
                )

    def _layer(self, about: Layer, shape: Shape, place: str) -> nn.Module:
        """A layer for inputs of `shape`."""
        kind = about.layer_type
        found = getattr(nn, kind, None)
        if not _is_layer(found):
            found = self._own.get(kind)
        if found is None:
            near = did_you_mean(kind, [*self._own, *filter(_names_layer, dir(nn))])
            raise UserError(
                f"{place}.layer_type: '{kind}' is neither in torch.nn nor in "
                f"{Path(self._architecture.path).parent / LAYERS}{near}"
            )
        given = {k: _plain(v) for k, v in (about.layer_params or {}).items()}
        known = inspect.signature(found).parameters
        for key in given:
            if key not in known:
                near = did_you_mean(key, known)
                raise UserError(
                    f"{place}.layer_params.{key}: {kind} has no such argument{near}"
                )
        for size in _SIZES:
            if size in known:
                given.setdefault(size, shape[-1] if size in _LAST else shape[0])
        if "normalized_shape" in known:
            given.setdefault("normalized_shape", shape)
        try:
            layer = found(**given)
        except (TypeError, ValueError, RuntimeError) as error:
            reason = str(error).removeprefix(f"{kind}.__init__() ")
            raise UserError(f"{place}.layer_params: {kind}: {reason}") from error
        layer.apply(_initialize)
        return layer


_LAST = ("in_features", "input_size")
"""Sizes of the last dimension."""


def _targets(skip: Skip) -> Sequence[Arrival]:
    return [*zip(skip.future_layers, skip.connection_types, strict=True)]


def _layer_name(submodel: Submodel, index: int) -> str:
    kind = submodel.layers[index].layer_type
    return f"{submodel.layer_name_prefix}_{kind}_{index}"


def _layer_names(architecture: Architecture) -> dict[str, tuple[str, str]]:
    """Component and submodel of each layer and input by name, as they run."""
    found: dict[str, tuple[str, str]] = {}
    for component, name, submodel in architecture.in_order():
        prefix = submodel.layer_name_prefix
        names = [_layer_name(submodel, i) for i in range(len(submodel.layers))]
        for layer in (f"{prefix}_input", *names):
            if layer in found:
                raise UserError(
                    f"architecture '{architecture.path}': {name}.layer_name_prefix: "
                    f"'{prefix}' is that of submodel '{found[layer][1]}', too"
                )
            found[layer] = component, name
    return found


def _own_layers(path: Path) -> dict[str, type[nn.Module]]:
    """Layers beside those of torch.nn: those of the file, then ours."""
    modules = [own_layers]
    if path.is_file():
        modules.append(python_module(str(path)))
    return {
        name: cast("type[nn.Module]", value)
        for module in modules
        for name, value in vars(module).items()
        if _is_layer(value)
    }


def _is_layer(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, nn.Module)


def _names_layer(name: str) -> bool:
    return _is_layer(getattr(nn, name))


def _plain(value: Any) -> Any:
    """Lists as the tuples that layers take."""
    return tuple(cast("list[Any]", value)) if isinstance(value, list) else value


def _shown(x: Tensor) -> str:
    return f"({'x'.join(map(str, x.shape[1:]))})"


@contextmanager
def _trial(layer: nn.Module) -> Any:
    """Within the block, `layer` takes one sample and learns nothing."""
    training = layer.training
    layer.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        layer.train(training)


@contextmanager
def _refused(place: str, kind: str, x: Tensor) -> Any:
    """What a layer raises, as a `UserError`."""
    try:
        yield
    except (RuntimeError, ValueError, IndexError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"{place}: {kind} does not take samples {_shown(x)}: {reason}"
        ) from error


def _initialize(module: nn.Module) -> None:
    """Normal weights for convolutions and batch norms, as GANs like them."""
    kind = type(module).__name__
    weight = getattr(module, "weight", None)
    if not isinstance(weight, Tensor):
        return
    if kind.startswith("Conv"):
        nn.init.normal_(weight, 0.0, _DEVIATION)
    elif kind.startswith("BatchNorm"):
        nn.init.normal_(weight, 1.0, _DEVIATION)
        nn.init.zeros_(cast(Any, module).bias)
