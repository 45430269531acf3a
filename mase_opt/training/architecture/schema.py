"""What an architecture file holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, cast

from pydantic import Field, PositiveInt, field_validator, model_validator

from mase_opt.lib.errors import UserError
from mase_opt.lib.suggest import did_you_mean
from mase_opt.training.merge import read_tree
from mase_opt.training.schemas import Strict, validated

COMPONENTS = "model_components"
OUTPUT = "output"
"""What a submodel can read of another one."""


class Component(Strict):
    """Submodels that are run one after the other."""

    submodels: list[str] = Field(min_length=1)
    adv_type: Literal["generator", "discriminator"] | None = None
    zero_out_skips: bool = False
    """Whether all that skips bring is zero."""


class InputData(Strict):
    """An input that is data."""

    data_key: str | None = None
    input_size: list[PositiveInt] = Field(min_length=1)
    """The shape of a sample."""

    @model_validator(mode="before")
    @classmethod
    def spelled(cls, tree: Any) -> Any:
        """`data_Key` is how the first examples spell it."""
        return _one_of(tree, "data_key", "data_Key")


class Layer(Strict):
    """A class of `torch.nn` or of `layers.py`, and its arguments."""

    layer_type: str
    layer_params: dict[str, Any] | None = None


class Skip(Strict):
    """Where the result of a layer goes, beside the next one."""

    future_layers: list[str]
    connection_types: list[Literal["add", "cat"]]

    @model_validator(mode="after")
    def paired(self) -> Self:
        """One type for each layer."""
        layers, types = len(self.future_layers), len(self.connection_types)
        if layers != types:
            raise ValueError(f"{layers} future_layers, but {types} connection_types")
        return self


class Submodel(Strict):
    """A chain of layers."""

    submodel_inputs: InputData | str
    """Data, or the submodel whose output it is."""
    layer_name_prefix: str = Field(pattern=r"^\w+$")
    layers: list[Layer] = Field(min_length=1)
    skip_connections: dict[str, Skip] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def spelled(cls, tree: Any) -> Any:
        """Text and examples differ: one of both."""
        return _one_of(tree, "submodel_inputs", "submodel_input")

    @field_validator("submodel_inputs", mode="before")
    @classmethod
    def source(cls, tree: Any) -> Any:
        """`{input_data: …}`, `{input_size: …}`, or `{submodel: output}`."""
        named = cast("Mapping[str, Any]", tree)
        if not isinstance(tree, Mapping) or len(named) != 1:
            raise ValueError("expected one of input_data, input_size, and a submodel")
        ((key, value),) = named.items()
        if key == "input_size":
            return {"input_size": value}
        if key == "input_data":
            return value
        if value != OUTPUT:
            raise ValueError(f"{key}: '{value}', expected '{OUTPUT}'")
        return key

    @field_validator("skip_connections", mode="before")
    @classmethod
    def none(cls, tree: Any) -> Any:
        """An empty key is no skip."""
        return {} if tree is None else tree


def _one_of(tree: Any, name: str, other: str) -> Any:
    if not isinstance(tree, Mapping) or other not in tree:
        return cast(Any, tree)
    named = dict(cast("Mapping[str, Any]", tree))
    if name in named:
        raise ValueError(f"{name} and {other} are the same key: give one")
    named[name] = named.pop(other)
    return named


@dataclass(frozen=True)
class Architecture:
    """All of a file."""

    path: str
    components: Mapping[str, Component]
    submodels: Mapping[str, Submodel]

    def in_order(self) -> Iterator[tuple[str, str, Submodel]]:
        """Component, name and submodel, in the order in which they run."""
        for component, about in self.components.items():
            for name in about.submodels:
                yield component, name, self.submodels[name]


def read_architecture(path: str) -> Architecture:
    """What a file holds; raises `UserError` that names the key that is wrong."""
    where = f"architecture '{path}'"
    tree = dict(read_tree(path, "architecture"))
    listed = tree.pop(COMPONENTS, None)
    if not isinstance(listed, Mapping) or not listed:
        raise UserError(f"{where}: {COMPONENTS}: expected a component, or several")
    components = {
        str(name): validated(Component, about, where, f"{COMPONENTS}.{name}")
        for name, about in cast("Mapping[Any, Any]", listed).items()
    }
    submodels = {name: validated(Submodel, s, where, name) for name, s in tree.items()}
    made = Architecture(path, components, submodels)
    _check_names(made, where)
    return made


def _check_names(made: Architecture, where: str) -> None:
    """All submodels are in components, and read what runs before them."""
    homes: dict[str, str] = {}
    for component, about in made.components.items():
        for index, name in enumerate(about.submodels):
            place = f"{where}: {COMPONENTS}.{component}.submodels[{index}]"
            if name not in made.submodels:
                near = did_you_mean(name, made.submodels)
                raise UserError(f"{place}: there is no submodel '{name}'{near}")
            if name in homes:
                raise UserError(f"{place}: '{name}' is in '{homes[name]}' already")
            homes[name] = component
    if left := [name for name in made.submodels if name not in homes]:
        near = did_you_mean(left[0], [COMPONENTS])
        raise UserError(f"{where}: {left[0]}: is in no component{near}")
    done: list[str] = []
    for _, name, submodel in made.in_order():
        source = submodel.submodel_inputs
        if isinstance(source, str) and source not in done:
            why = "runs later" if source in homes else "is no submodel"
            near = "" if source in homes else did_you_mean(source, homes)
            raise UserError(
                f"{where}: {name}.submodel_inputs: '{name}' reads '{source}', which "
                f"{why}{near}"
            )
        done.append(name)
