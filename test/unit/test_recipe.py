"""Recipes: as TOML, as attributes, and what is no recipe."""

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xdsl.context import Context
from xdsl.dialects.builtin import Builtin
from xdsl.parser import Parser

from mase_opt.lib.errors import UserError
from mase_opt.lib.quantization.recipe import Recipe

names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)
settings = st.fixed_dictionaries(
    {},
    optional={
        "data_in": st.sampled_from(["fixed<8, auto>", "mxint8"]),
        "weight_width": st.integers(1, 64),
        "bypass": st.booleans(),
        "rounding": st.sampled_from(["floor", "half_up"]),
    },
)
recipes = st.builds(
    Recipe,
    width=st.none() | st.integers(1, 64),
    data_format=st.none() | st.sampled_from(["log<5>", "scaled<ternary, auto>"]),
    method=st.none() | st.sampled_from(["mse", "minmax", "percentile", "kl"]),
    percentile=st.none() | st.floats(51, 100),
    complete=st.none() | st.booleans(),
    by=st.sampled_from(["name", "type"]),
    layers=st.dictionaries(names, settings, max_size=3),
)


@given(recipes)
def test_toml_and_attribute_are_the_recipe(recipe: Recipe):
    text = recipe.to_toml()
    table = tomllib.loads(text)["passes"]["quantize"]
    again = Recipe.from_table(table, "x")
    assert again.difference(recipe) is None
    assert list(again.layers.items()) == list(recipe.layers.items())
    context = Context()
    context.load_dialect(Builtin)
    attribute = Parser(context, str(recipe.to_attribute())).parse_attribute()
    assert Recipe.from_attribute(attribute).to_toml() == text


def test_the_order_of_layers_is_kept():
    layers = {"b.*": {"weight": "fixed<4, auto>"}, "a": {"weight": "fixed<5, auto>"}}
    recipe = Recipe(by="regex_name", layers=layers)
    assert list(Recipe.from_attribute(recipe.to_attribute()).layers) == ["b.*", "a"]


def test_files_and_dictionaries(tmp_path: Path):
    recipe = Recipe(width=5, layers={"fc": {"weight": "fixed<4, auto>"}})
    path = tmp_path / "recipe.toml"
    path.write_text(recipe.to_toml())
    assert Recipe.of(path) == Recipe.of(str(path)) == recipe
    assert Recipe.of({"width": 5, "layers": recipe.layers}) == recipe
    assert Recipe.of({"data-width": 5}) == Recipe(data_width=5)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"widht": 6}, "recipe: unknown key 'widht'; did you mean 'width'? (keys:"),
        ({"width": 0}, "options: data-width: width must be between 1 and 64, got 0"),
        ({"width": "6"}, "options: width is '6', expected a whole number"),
        ({"width": True}, "options: width is True, expected a whole number"),
        ({"percentile": "x"}, "options: percentile is 'x', expected a number"),
        ({"percentile": 3}, "options: percentile is 3, expected above 50, to 100"),
        ({"complete": 1}, "options: complete is 1, expected true or false"),
        ({"format": 8}, "options: format is 8, expected text"),
        ({"by": "kind"}, "options: by is 'kind', expected one of type, name"),
        ({"layers": [1]}, "options: layers is [1], expected a dictionary"),
        ({"layers": {"fc": 4}}, "options: layers: 'fc' is 4, expected a name with"),
        (
            {"layers": {"fc": {"wight": "fixed<4,auto>"}}},
            "options: fc: unknown key 'wight'; did you mean 'weight'?",
        ),
        (
            {"data_width": 4, "data_format": "mxint8"},
            "options: both data-format and data-width are given, keep one",
        ),
    ],
)
def test_no_recipe(table: dict, message: str):
    with pytest.raises(UserError, match=re.escape(message)):
        Recipe.of(table)


@pytest.mark.parametrize(
    "text",
    ["3 : i64", "{width = unit}", "{layers = 3 : i64}", "{layers = [[1, 2, 3]]}"],
)
def test_no_recipe_in_ir(text: str):
    context = Context()
    context.load_dialect(Builtin)
    with pytest.raises(UserError, match=r"mase\.recipe"):
        Recipe.from_attribute(Parser(context, text).parse_attribute())
