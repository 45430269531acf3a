"""The options of `mase`: where values come from, and what mistakes say."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from mase_opt.lib.errors import UserError
from mase_opt.tools.mase import run
from mase_opt.training.command_line import help_text, parse
from mase_opt.training.config import ACTIONS, Config, Option, options
from mase_opt.training.merge import read_config
from mase_opt.training.scripts import make_cli_parser, options_of, parse_config

ROOT = Path(__file__).parents[2]
OTHER: Mapping[type, Any] = {int: 7, float: 0.25, str: "other", tuple: ("a", "b")}
THIRD: Mapping[type, Any] = {int: 9, float: 0.75, str: "third", tuple: ("c",)}


def other(option: Option, values: Mapping[type, Any] = OTHER) -> Any:
    """A value that is not the default."""
    if option.kind is bool:
        return values is OTHER
    if option.choices:
        return [c for c in option.choices if c != option.default][
            0 if values is OTHER else -1
        ]
    return values[option.kind]


def flags(option: Option, flag: str, value: Any) -> list[str]:
    """How a value is given."""
    if option.kind is bool:
        return [flag if value else flag.replace("--", "--no-", 1)]
    if option.kind is tuple:
        return [word for item in value for word in (flag, item)]
    return [f"{flag}={value}"]


def write(path: Path, values: Mapping[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(dict(values)))
    return path


def plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize("name", options())
def test_c9_default_file_command_line(name: str, tmp_path: Path):
    """Each option by each of its flags, also where the flag says the default."""
    option = options()[name]
    default = getattr(Config(), name)
    assert option.default == default
    in_file = other(option)
    path = write(tmp_path / "c.yaml", {name: plain(in_file)})
    from_file = parse(["train", "--config", str(path)])
    assert getattr(from_file.merged.config, name) == in_file
    assert from_file.merged.source(name) == "file"
    for flag in option.flags:
        given = [other(option, THIRD)]
        if default is not None and default != ():
            given.append(default)
        for value in given:
            words = flags(option, flag, value)
            for line in (
                ["train", "--config", str(path), *words],
                ["train", *words, "--config", str(path)],
                ["train", *words, f"--config={path}"],
            ):
                merged = parse(line).merged
                assert getattr(merged.config, name) == value
                assert merged.source(name) == "command line"
            alone = parse(["train", *words]).merged.config
            assert asdict(alone) == {**asdict(Config()), name: value}


@pytest.mark.parametrize("name", options())
def test_c8_c10_nested_and_flat_names(name: str, tmp_path: Path):
    option = options()[name]
    value = other(option)
    section, _, leaf = option.key.rpartition(".")
    tree = {section: {leaf: plain(value)}} if section else {leaf: plain(value)}
    path = write(tmp_path / "c.yaml", tree)
    assert read_config(str(path)) == {name: value}


def test_c7_toml_and_yaml_say_the_same(tmp_path: Path):
    toml = tmp_path / "c.toml"
    toml.write_text(
        'model = "toy"\ndataset = "toy-tiny"\nlearning_rate = 1\nload_name = "NA"\n'
        "[trainer]\nmax_epochs = 3\n[passes.quantize]\nwidth = 6\n"
        "[dataset_args]\nfolds = 2\n"
    )
    path = write(
        tmp_path / "c.yml",
        {
            "model": "toy",
            "dataset": "toy-tiny",
            "optim": {"lr": 1.0},
            "load_name": None,
            "max_epochs": 3,
            "passes": {"quantize": {"width": 6}},
            "dataset_args": {"folds": 2},
        },
    )
    found = read_config(str(toml))
    assert found == read_config(str(path))
    assert found["learning_rate"] == 1.0
    assert found["load_name"] is None


def test_model_with_arguments_as_a_table(tmp_path: Path):
    path = tmp_path / "c.toml"
    path.write_text('[model]\nname = "toy"\nhidden = 8\n')
    assert read_config(str(path)) == {"model": "toy", "model_args": {"hidden": 8}}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("c.txt", "", "expected a file *.toml, *.yaml, *.yml"),
        ("c.toml", "a = ", "is not TOML"),
        ("c.yaml", "a: [", "is not YAML"),
        ("c.yaml", "- 1", "holds list, expected keys"),
        ("c.toml", "learning_rat = 1", "did you mean 'learning_rate'?"),
        (
            "c.toml",
            "[optim]\nlrr = 1",
            "unknown key 'optim.lrr'; did you mean 'optim.lr'",
        ),
        (
            "c.toml",
            "batch_size = '32'",
            "batch_size is '32', expected a whole number",
        ),
        (
            "c.toml",
            "batch_size = 0",
            "batch_size is 0, expected a whole number of",
        ),
        ("c.toml", "batch_size = true", "batch_size is True, expected a whole number"),
        ("c.toml", "learning_rate = nan", "learning_rate is nan, expected a number of"),
        (
            "c.toml",
            "task = 'clss'",
            "expected one of classification, language_mo",
        ),
        ("c.toml", "model = 3", "model is 3, expected a name"),
        ("c.toml", "passes = 3", "passes is 3, expected a table"),
        ("c.toml", "lr = 3", "unknown key 'lr'; files call it 'learning_rate'"),
        ("c.toml", "tags = [1]", "tags is (1,), expected a list of texts"),
        (
            "c.toml",
            "learning_rate = 1.0\n[optim]\nlr = 1.0",
            "learning_rate and optim.lr are the same option",
        ),
        # torch wants factors below 1.
        ("c.yaml", "lr_schedule: {factor: 2}", "lr_schedule.factor is 2.0, expected a"),
    ],
)
def test_c7_mistakes_in_files(name: str, text: str, message: str, tmp_path: Path):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        read_config(str(path))
    assert message in str(caught.value)
    assert name in str(caught.value)


def test_c7_file_that_is_not_there():
    with pytest.raises(UserError, match=r"config 'no\.toml': No such file"):
        read_config("no.toml")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("fly toy toy-tiny", "unknown action 'fly', expected one of train, test, tran"),
        ("trian toy toy-tiny", "did you mean 'train'?"),
        ("train toy toy-tiny --lrr 1", "unknown option '--lrr'; did you mean '--lr'?"),
        ("train toy toy-tiny more", "'more' is one name too many"),
        ("train --lr high", "argument --learning-rate/--lr: 'high' is not a number"),
        ("train --lr -1", "--learning-rate is -1.0, expected a number of at least 0"),
        ("train --optimizer lion", "expected one of adam, adamw, sgd, adadelta"),
        ("--lr 1", "no action: name one of train, test"),
        ("train", "model and dataset required"),
        ("train toy", "dataset required"),
        ("--info shapes", "--info is 'shapes', expected one of all, model, dataset"),
    ],
)
def test_c1_c2_mistakes_on_the_command_line(
    line: str, message: str, capsys: Any, tmp_path: Path
):
    assert run([*line.split(), "--project-dir", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert message in said.err
    assert said.err.startswith("error: ")
    assert len(said.err.splitlines()) == 1


def test_x1_eval_is_test():
    assert parse(["eval", "toy", "toy-tiny"]).action == "test"


def test_positionals_before_between_and_behind_flags():
    for line in (
        "train toy toy-tiny --lr 1 --lr-scheduler",
        "--lr 1 train --lr-scheduler toy toy-tiny",
        "train --lr 1 toy --lr_scheduler plateau toy-tiny",
    ):
        config = parse(line.split()).merged.config
        assert (config.model, config.dataset) == ("toy", "toy-tiny")
        assert (config.learning_rate, config.lr_scheduler) == (1.0, "plateau")


def test_x10_underscores_in_flags():
    line = ["train", "--stochastic_weight_avg", "--max_epochs=4", "--project", "a_b"]
    config = parse(line).merged.config
    assert config.stochastic_weight_avg
    assert (config.max_epochs, config.project) == (4, "a_b")


def test_short_task_names():
    for short, long in (("cls", "classification"), ("lm", "language_modeling")):
        assert parse(["train", "--task", short]).merged.config.task == long


@pytest.mark.parametrize("flag", ["-h", "--help", "-v"])
def test_c4_help_has_every_flag_with_its_default(flag: str, capsys: Any):
    assert run([flag]) == 0
    text = capsys.readouterr().out
    for option in options().values():
        for name in option.flags:
            assert name in text
        if option.default not in (None, False, ()):
            assert f"[{option.default}]" in " ".join(text.split())
    for action in ACTIONS:
        assert f"\n  {action} " in text


@pytest.mark.parametrize("action", ACTIONS)
def test_c4_help_of_an_action(action: str, capsys: Any, monkeypatch: Any):
    monkeypatch.setenv("COLUMNS", "80")
    assert run([action, "--help"]) == 0
    text = capsys.readouterr().out
    assert ("--lr-factor" in text) == (action in ("train", "search"))
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("flag", ["-V", "--version"])
def test_c5_version(flag: str, capsys: Any):
    assert run([flag]) == 0
    assert capsys.readouterr().out == "mase 0.1.0\n"


@pytest.mark.parametrize(
    ("line", "models", "datasets"),
    [
        (["--info"], True, True),
        (["--info", "all"], True, True),
        (["--info=model"], True, False),
        (["--info", "dataset"], False, True),
    ],
)
def test_c6_info(
    line: list[str], models: bool, datasets: bool, capsys: Any, monkeypatch: Any
):
    monkeypatch.setenv("COLUMNS", "80")
    assert run(line) == 0
    text = capsys.readouterr().out
    assert ("digits-mlp" in text) == models
    assert ("toy-tiny" in text) == datasets
    assert max(map(len, text.splitlines())) <= 80


def test_help_version_and_info_import_no_torch():
    """Nor do they take what is only there with extras."""
    extras = (
        "torch lightning loguru mlxtend omegaconf pydantic safetensors sklearn "
        "tensorboard torchmetrics optuna matplotlib timm torchvision transformers"
    )
    code = (
        "import sys\n"
        "from mase_opt.tools.mase import run\n"
        f"for name in '{extras}'.split():\n"
        "    sys.modules[name] = None\n"
        "for line in (['--help'], ['train', '--help'], ['--version'], ['--info']):\n"
        "    assert run(line) == 0\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


# Scripts of a user's own.


def parser() -> argparse.ArgumentParser:
    own = argparse.ArgumentParser()
    own.add_argument("--hidden", dest="model.intermediate_hidden", type=int, default=12)
    return make_cli_parser(own)


def test_c10_c12_scripts_inherit_all_flags():
    config = parse_config(parser(), ["--hidden", "200", "--lr=0.5", "--tags", "a"])
    assert config.model.intermediate_hidden == 200
    assert config.optim.lr == 0.5
    assert config.trainer.tags == ["a"]
    assert (config.data.batch_size, config.trainer.max_epochs) == (32, 100)
    assert config.trainer.experiment_name == "experiment"


@pytest.mark.parametrize("suffix", [".yaml", ".toml"])
def test_c9_precedence_in_scripts(suffix: str, tmp_path: Path):
    path = tmp_path / f"c{suffix}"
    path.write_text(
        "random_value: hello\nmodel: {intermediate_hidden: 100}\n"
        "optim: {lr: 0.5}\ntrainer: {tags: [x]}\n"
        if suffix == ".yaml"
        else 'random_value = "hello"\nmodel.intermediate_hidden = 100\n'
        "optim.lr = 0.5\ntrainer.tags = ['x']\n"
    )
    line = ["--lr", "1e-3", "--config", str(path)]
    config = parse_config(parser(), line)
    # The default on the command line goes before the file, too.
    assert config.optim.lr == 1e-3
    assert config.model.intermediate_hidden == 100
    assert config.random_value == "hello"
    assert config.trainer.tags == ["x"]
    assert config.data.batch_size == 32


def test_options_of_a_script_are_those_of_train():
    config = parse_config(parser(), ["--lr", "0.5"])
    found = Config(**options_of(config))
    assert (found.learning_rate, found.max_epochs, found.patience) == (0.5, 100, 3)


def test_c11_configuration_with_sources(tmp_path: Path):
    path = write(tmp_path / "c.yaml", {"learning_rate": 0.5, "max_epochs": 7})
    line = ["train", "toy", "--max-epochs", "20", "--config", str(path)]
    merged = parse(line).merged
    assert merged.given_table().rows == [
        ("model", "toy", "command line"),
        ("learning_rate", "0.5", "file"),
        ("max_epochs", "20", "command line"),
    ]
    rows = {row[0]: row[1:] for row in merged.table().rows}
    assert rows["max_epochs"] == ("20", "7", "20", "20")
    assert rows["seed"] == ("0", None, None, "0")


def test_written_configuration_repeats_the_run(tmp_path: Path):
    toml = tmp_path / "c.toml"
    toml.write_text('[passes.quantize]\nwidth = 6\n[model]\nname = "toy"\nhidden = 8\n')
    line = ["train", "--lr", "0.5", "--tags", "a", "--config", str(toml)]
    merged = parse(line).merged
    again = tmp_path / "train.yaml"
    again.write_text(merged.yaml())
    assert parse(["train", "--config", str(again)]).merged.config == merged.config
    assert "learning_rate: 0.5  # command line" in merged.yaml()
    assert "seed: 0  # default" in merged.yaml()


def test_help_text_of_an_action_is_its_own():
    assert "mase train [MODEL] [DATASET]" in help_text("train")


def test_o9_experiment_name_of_a_script():
    own = parser()
    own.set_defaults(**{"trainer.experiment_name": "mnist-classification"})
    assert parse_config(own, []).trainer.experiment_name == "mnist-classification"


LAST_ROWS = {"C": 13, "T": 30, "O": 9, "K": 13, "D": 12, "P": 20, "Q": 18}


def test_rows_of_the_guide_name_tests_that_there_are():
    """Each test in the table of docs/frontend.md."""
    root = Path(__file__).parents[2]
    page = (root / "docs/frontend.md").read_text(encoding="utf-8")
    table = page.partition("## Capabilities and their tests")[2]
    sources = [p.read_text(encoding="utf-8") for p in root.glob("test/unit/test_*.py")]
    there = set(re.findall(r"^def (test_\w+)", "\n".join(sources), re.M))
    named = set(re.findall(r"`(test_\w+)`", table))
    assert named <= there, named - there
    rows = ",".join(re.findall(r"^\| ([A-Z]\d+(?:, [A-Z]\d+)*) \|", table, re.M))
    found = {row.strip() for row in rows.split(",")}
    for letter, last in LAST_ROWS.items():
        wanted = {f"{letter}{number}" for number in range(1, last + 1)}
        assert wanted <= found, wanted - found
