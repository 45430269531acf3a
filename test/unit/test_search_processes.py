"""Searches by many processes, some of which die: no trial is lost or different."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from search_models import DIGITS, FORMATS, LAB, PRICES, mlp, toll
from test_search import found

import mase_opt as mo
from mase_opt.lib.errors import UserError
from mase_opt.search import storage as storages
from mase_opt.search.search import search

ROOT = Path(__file__).parents[2]
PROGRAM = """\
import json, sys
from search_models import mlp
import search_models
if __name__ == "__main__":
    model = mlp()
    print("ready", flush=True)
    study = model.search(json.loads(sys.argv[1]), **json.loads(sys.argv[2]))
    print(len(study.trials), study.best.number)
"""
pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="processes are started and watched as Linux has it"
)


@pytest.fixture(scope="module")
def model() -> mo.Model:
    return mlp()


def start(config: dict[str, Any], **options: Any) -> subprocess.Popen[str]:
    """A search in a process of its own, which says when it begins."""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, json.dumps(config), json.dumps(options)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    while not condition():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def lines(log: Path) -> list[tuple[int, int]]:
    """Processes and trials in a log."""
    if not log.exists():
        return []
    pairs = [line.split() for line in log.read_text().splitlines()]
    return [(int(pid), int(number)) for pid, number in pairs]


@pytest.mark.slow
def test_no_number_of_processes_changes_the_result(model: mo.Model, tmp_path: Path):
    config = toll(sampler="tpe", n_trials=16, batch=4)
    alone = model.search(config)
    log = tmp_path / "log"
    together = model.search(
        toll(sampler="tpe", n_trials=16, batch=4, log=log, n_jobs=3)
    )
    assert found(together) == found(alone)
    pids = {pid for pid, _ in lines(log)}
    assert len(pids) > 1
    assert os.getpid() not in pids


@pytest.mark.slow
def test_what_kills_its_process(model: mo.Model, tmp_path: Path):
    """Once: it is tried again. Always: it fails, and the search goes on."""
    once = str(tmp_path / "died")
    data = PRICES["linear.data_in"] | {FORMATS[0]: once, FORMATS[1]: "mortal"}
    space = {**LAB, "seed": {"linear": {"config": {"data_in": FORMATS}}}}
    log = tmp_path / "log"
    config = toll(
        space=space, sampler="grid", prices={"linear.data_in": data}, log=log, n_jobs=2
    )
    study = model.search(config)
    results = {
        trial.point["linear.data_in"]: trial.values.get("toll", trial.reason)
        for trial in study.trials
    }
    assert results == {
        FORMATS[0]: 0,
        FORMATS[1]: "its process died: SIGKILL, perhaps because memory ran out",
        FORMATS[2]: 1,
        FORMATS[3]: 4,
    }
    numbers = [number for _, number in lines(log)]
    attempts = {
        t.point["linear.data_in"]: numbers.count(t.number) for t in study.trials
    }
    assert attempts == {FORMATS[0]: 2, FORMATS[1]: 3, FORMATS[2]: 1, FORMATS[3]: 1}


@pytest.mark.slow
@pytest.mark.parametrize("kept", ["study.journal", "sqlite:///{}/study.db"])
def test_a_search_that_was_killed_goes_on(kept: str, model: mo.Model, tmp_path: Path):
    """What was finished is not measured again, what was running is."""
    storage = kept.format(tmp_path) if "{}" in kept else str(tmp_path / kept)
    log = tmp_path / "log"
    setup: Any = {"sampler": "tpe", "n_trials": 12, "batch": 6}
    slow = toll(log=log, seconds=0.2, **setup)
    process = start(slow, storage=storage, n_jobs=2)
    wait_until(lambda: len(lines(log)) >= 4, process)
    process.kill()
    process.communicate()
    before = lines(log)
    # Workers end with who has started them.
    while any(Path(f"/proc/{pid}").exists() for pid, _ in before):
        time.sleep(0.02)
    study = model.search(slow, storage=storage)
    assert found(study) == found(model.search(toll(**setup)))
    numbers = [number for _, number in lines(log)]
    repeated = {n for n in numbers if numbers.count(n) > 1}
    assert repeated <= {number for _, number in before[-2:]}


def test_processes_join_a_study(model: mo.Model, tmp_path: Path):
    """As on several machines: each trial is measured once, and all see all."""
    log = tmp_path / "log"
    config = toll(sampler="brute_force", log=log, seconds=0.1, batch=2)
    storage = f"sqlite:///{tmp_path}/study.db"
    others = [start(config, storage=storage) for _ in range(2)]
    said = [process.communicate() for process in others]
    assert [process.returncode for process in others] == [0, 0], said
    study = model.search(config, storage=storage)
    best = study.best.number
    assert [out for out, _ in said] == [f"ready\n{len(study.trials)} {best}\n"] * 2
    assert study.best.values["toll"] == 3
    assert len({tuple(t.point.values()) for t in study.trials}) == 16
    assert len({pid for pid, _ in lines(log)}) == 2


def test_trials_of_a_dead_machine(
    model: mo.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """It gives no sign of life for a while; then its trial is taken over."""
    monkeypatch.setattr(storages, "GRACE", 0.5)
    config = toll(sampler="grid")
    journal = tmp_path / "study.journal"
    model.search({**config}, output=tmp_path, n_trials=1)
    kept = JournalStorage(JournalFileBackend(str(journal)))
    study = optuna.load_study(study_name="search", storage=kept)
    trial = study.ask({n: d for n, d in study.trials[0].distributions.items()})
    trial.set_user_attr("owner", "elsewhere:17:4711:0")
    begun = time.monotonic()
    again = model.search(config, output=tmp_path)
    assert time.monotonic() - begun > 0.5
    assert [t.number for t in again.trials] == list(range(16))
    assert again.trials[1].values["toll"] > 0


def test_ctrl_c_while_a_journal_is_locked(
    model: mo.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Optuna's lock fails then, which is no fault of the storage."""
    unlink, told = os.unlink, list[Any]()

    def interrupted(path: Any, **how: Any) -> None:
        unlink(path, **how)
        if len(told) == 3 and str(path).endswith(".rename"):
            told.append("Ctrl-C")
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "unlink", interrupted)
    config = toll(sampler="grid", storage=str(tmp_path / "study.journal"))
    first = search(model, config, told=told.append)
    assert first.interrupted
    assert 3 <= len(first.trials) < 16
    assert len(model.search(config).trials) == 16


@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c(jobs: int, tmp_path: Path):
    """The best so far is written, and the exit code says that it was interrupted."""
    plugin = tmp_path / "plugin.py"
    plugin.write_text(
        f"import sys; sys.path.append({str(Path(__file__).parent)!r})\n"
        "from xdsl.universe import Universe\n"
        "import search_models\n"
        "UNIVERSE = Universe()\n"
    )
    log = tmp_path / "log"
    config = tmp_path / "search.toml"
    config.write_text(
        f"""\
[search.search_space]
name = "mixed_precision"
setup = {{by = "name"}}
seed.fc1.config.weight_width = [2, 3, 4, 5]
seed.fc2.config.weight_width = [2, 3, 4, 5]

[search.strategy]
setup = {{n_jobs = {jobs}, sampler = "grid"}}
metrics.toll.direction = "minimize"

[search.strategy.hw_runner.toll]
prices = {{"fc1.weight_width" = {{}}, "fc2.weight_width" = {{}}}}
log = "{log}"
seconds = 0.2
"""
    )
    best = tmp_path / "best.mlir"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "mase_opt.tools.mase_opt"),
            f"--load-plugin={plugin}",
            f"--calibrate=data={DIGITS / 'mlp_calibration.npz'} samples=8",
            f"--search=config={config} output={tmp_path / 'out'}",
            *(str(DIGITS / "mlp.mlir"), "-o", str(best)),
        ],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Ignored where the tests run in the background.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    wait_until(lambda: len(lines(log)) > 2 * jobs, process)
    # As a terminal does: to all of its processes.
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == -signal.SIGINT, said
    first, last = said.splitlines()
    assert ", interrupted: toll 0, half 0" in first
    assert last == "error: interrupted"
    assert mo.load(best).is_quantized
    measured = {number for _, number in lines(log)}
    assert 2 < len(measured) < 16
    pids = {pid for pid, _ in lines(log)}
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


# ---- storages that are not what they should be ---------------------------------------


def spoiled(kind: str, folder: Path) -> str:
    """A storage that is something else."""
    path = folder / "study"
    if kind == "text":
        path.write_text("This is no journal.\n")
    elif kind == "JSON":
        path.write_text('{"a": 1}\n')
    elif kind == "torn":
        path.write_text('{"op_code": 0, "worker')
        path.write_text(path.read_text() + "\n{}\n")
    elif kind == "database":
        path.write_bytes(b"This is no database, but long enough." * 99)
        return f"sqlite:///{path}"
    elif kind == "folder":
        return f"sqlite:///{folder}/nowhere/study.db"
    return str(path)


@pytest.mark.parametrize("kind", ["text", "JSON", "torn", "database", "folder"])
def test_a_storage_that_is_none(kind: str, model: mo.Model, tmp_path: Path):
    storage = spoiled(kind, tmp_path)
    path = tmp_path / "study"
    before = path.read_bytes() if path.exists() else None
    with pytest.raises(UserError) as error:
        model.search(toll(n_trials=1), storage=storage)
    assert f"storage '{storage}'" in str(error.value)
    assert "\n" not in str(error.value)
    assert before is None or path.read_bytes() == before


def test_a_database_without_its_driver(
    model: mo.Model, monkeypatch: pytest.MonkeyPatch
):
    for name in ("MySQLdb", "pymysql"):
        monkeypatch.setitem(sys.modules, name, None)
    for url, package in (
        ("mysql://u:secret@h/d", "MySQLdb"),
        ("mysql+pymysql://u:secret@h/d", "pymysql"),
    ):
        with pytest.raises(UserError) as error:
            model.search(toll(n_trials=1), storage=url)
        assert str(error.value).startswith(
            f"storage '{url.replace('secret', '***')}' needs the package {package} for"
        )


@pytest.mark.parametrize("storage", ["postgresql://u:secret@h/d", "mongo://h/d"])
def test_a_storage_of_an_unknown_kind(storage: str, model: mo.Model):
    with pytest.raises(UserError) as error:
        model.search(toll(n_trials=1), storage=storage)
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)


def test_a_study_of_something_else(model: mo.Model, tmp_path: Path):
    model.search(toll(n_trials=1), output=tmp_path)
    other = model.quantize(width=6)
    name = r"^study 'search' in storage '.*study.journal' is of another "
    remedy = ": name another one in setup.study, or another storage$"
    cases: list[tuple[str, mo.Model, dict[str, Any]]] = [
        ("set of runners", model, toll(n_trials=1, prices={"linear.data_in": {}})),
        ("set of metrics", model, toll(n_trials=1, metrics={"half": {}})),
        ("encoding", model, toll(n_trials=1, sampler="cmaes")),
        (
            "space",
            model,
            toll(n_trials=1, space={**LAB, "setup": {"by": "type"}}),
        ),
        (
            "model",
            mo.load(DIGITS / "mlp.mlir").calibrate(
                DIGITS / "mlp_calibration.npz", samples=31
            ),
            toll(n_trials=1),
        ),
    ]
    for what, of, config in cases:
        with pytest.raises(UserError, match=name + what + remedy):
            of.search(config, output=tmp_path)
    assert other.is_quantized
    again = model.search(toll(n_trials=1, study="another"), output=tmp_path)
    assert len(again.trials) == 1
    optuna.create_study(
        study_name="foreign", storage=f"sqlite:///{tmp_path}/a.db"
    ).add_trial(optuna.trial.create_trial(value=1.0))
    with pytest.raises(UserError, match="is not one of mase-opt"):
        model.search(toll(study="foreign"), storage=f"sqlite:///{tmp_path}/a.db")


@pytest.mark.parametrize("kind", ["sqlite:///", ""])
def test_a_storage_that_goes_away(kind: str, model: mo.Model, tmp_path: Path):
    path = tmp_path / "study"
    storage = f"{kind}{path}"

    def spoil(_: object) -> None:
        path.write_bytes(b"no more")

    with pytest.raises(UserError) as error:
        search(model, toll(sampler="grid", batch=2, storage=storage), told=spoil)
    assert str(error.value).startswith(f"storage '{storage}' fails: ")
    assert "the same command goes on" in str(error.value)
    assert "\n" not in str(error.value)


# ---- PostgreSQL ----------------------------------------------------------------------


def _postgresql() -> Path | None:
    """The folder of its programs."""
    if (found := shutil.which("initdb")) is not None:
        return Path(found).parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return folders[-1].parent if folders else None


@pytest.fixture
def server() -> Iterator[tuple[str, Any]]:
    """A URL, and what stops the server."""
    programs = _postgresql()
    if programs is None:
        pytest.skip("initdb of PostgreSQL is not installed")
    # Where the server's user can get to, and the path of its socket is short.
    with tempfile.TemporaryDirectory(prefix="mase", dir="/tmp") as name:
        as_user: list[str] = []
        if os.geteuid() == 0:
            # It refuses to run as root.
            shutil.chown(name, "postgres")
            as_user = ["runuser", "-u", "postgres", "--"]

        def run(program: str, *arguments: str) -> None:
            command = [*as_user, str(programs / program), *arguments]
            subprocess.run(command, check=True, cwd=name, stdout=subprocess.DEVNULL)

        data = f"{name}/data"
        run("initdb", "-D", data, "-A", "trust", "-U", "tester", "--no-sync")
        options = f"-k {name} -c listen_addresses='' -c fsync=off"
        run("pg_ctl", "-D", data, "-w", "-o", options, "-l", f"{name}/log", "start")

        def stop() -> None:
            run("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")

        try:
            yield f"postgresql+psycopg://tester@/postgres?host={name}", stop
        finally:
            if Path(data, "postmaster.pid").exists():
                stop()


@pytest.mark.slow
def test_postgresql(server: tuple[str, Any], model: mo.Model, tmp_path: Path):
    """Killed, taken up, joined; and then it goes away."""
    url, stop = server
    log = tmp_path / "log"
    setup: Any = {"sampler": "tpe", "n_trials": 12, "batch": 6}
    process = start(toll(log=log, seconds=0.2, **setup), storage=url)
    wait_until(lambda: len(lines(log)) == 3, process)
    process.kill()
    process.communicate()
    study = model.search(toll(log=log, seconds=0.2, **setup), storage=url)
    assert found(study) == found(model.search(toll(**setup)))
    assert len({number for _, number in lines(log)}) <= 12

    with pytest.raises(UserError) as error:
        search(
            model,
            toll(study="second", sampler="grid", batch=2, storage=url),
            told=lambda trial: stop() if trial.number == 1 else None,
        )
    assert str(error.value).startswith("storage 'postgresql+psycopg://tester@/")
    assert "\n" not in str(error.value)
