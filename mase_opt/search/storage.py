"""Where trials are kept, and who works on them."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import socket
import sys
import threading
import time
import warnings
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from mase_opt.lib.errors import UserError
from mase_opt.lib.search.strategy import Direction

if TYPE_CHECKING:
    import optuna
    from optuna.storages import BaseStorage

BEAT = 5.0
"""Seconds between two signs of life in a shared storage."""
GRACE = 30.0
"""Seconds without one after which a process elsewhere counts as dead."""

_TRIES = 5

FINGERPRINT = "fingerprint"
"""The attribute of a study that says what its trials are of."""
_LEASE = "lease "
_active: set[str] = set()
_count = itertools.count()


@contextlib.contextmanager
def silent_optuna() -> Generator[None]:
    """
    Without Optuna's log, and what it says of samplers that it has had for years.

    Raises `UserError` where it is not installed.
    """
    try:
        from optuna import logging
        from optuna.exceptions import ExperimentalWarning
    except ImportError as error:
        raise UserError(
            'search needs optuna: pip install "mase-opt[search]"'
        ) from error

    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            yield
    finally:
        logging.set_verbosity(before)


def shown(storage: str) -> str:
    """A storage as messages have it, without a password."""
    return re.sub(r"(://[^:/@]*:)[^@]*@", r"\1***@", storage)


def is_interrupt(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind an error: a journal's lock fails if it comes then."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None


@contextlib.contextmanager
def storage_errors(storage: str | None) -> Generator[None]:
    """Raise what a database or file raises as `UserError`."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        module = type(error).__module__.partition(".")[0]
        is_database = module in ("sqlalchemy", "psycopg", "sqlite3")
        is_storage = type(error).__name__ in (
            "StorageInternalError",
            "ObjectDeletedError",
        )
        if storage is None or not (is_database or is_storage or _is_system(error)):
            raise
        raise UserError(
            f"storage '{shown(storage)}' fails: {_first_line(error)}; finished trials "
            "are kept, the same command goes on once it is back"
        ) from error


def _is_system(error: Exception) -> bool:
    return isinstance(error, OSError)


def _first_line(error: BaseException) -> str:
    """What is at the bottom of an error, in a line."""
    error = _bottom(error)
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _bottom(error: BaseException) -> BaseException:
    """What an error was raised from in the first place."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def open_storage(storage: str | None) -> BaseStorage:
    """What a URL or the name of a journal file means; raises `UserError`."""
    from optuna.storages import InMemoryStorage, JournalStorage
    from optuna.storages.journal import JournalFileBackend

    if storage is None:
        return InMemoryStorage()
    try:
        if "://" in storage:
            return _open_database(storage)
        _check_journal(Path(storage))
        return JournalStorage(JournalFileBackend(storage))
    except Exception as error:  # whatever a damaged file makes the readers raise
        if isinstance(cause := _bottom(error), ModuleNotFoundError):
            raise UserError(
                f"storage '{shown(storage)}' needs the package {cause.name} for its "
                "database, which is not installed: install it, or name another in the "
                "URL, as in postgresql+psycopg:// and mysql+pymysql://"
            ) from error
        raise UserError(
            f"storage '{shown(storage)}' is no study that can be read: "
            f"{_first_line(error)}"
        ) from error


def _open_database(url: str) -> BaseStorage:
    """A database, whose tables several processes may want to make at once."""
    from optuna.storages import RDBStorage
    from sqlalchemy.exc import DBAPIError

    # SQLite lets one process write at a time.
    waiting = {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {}
    for _ in range(_TRIES):
        try:
            return RDBStorage(url, engine_kwargs=waiting)
        except DBAPIError as error:
            if "exists" not in str(error) and "UNIQUE" not in str(error).upper():
                raise
            time.sleep(0.2)
    return RDBStorage(url, engine_kwargs=waiting)


@contextlib.contextmanager
def closing_storage(storage: BaseStorage) -> Generator[None]:
    """Close the connections of a database at the end."""
    from optuna.storages import RDBStorage

    try:
        yield
    finally:
        storage.remove_session()
        if isinstance(storage, RDBStorage):
            storage.engine.dispose()


def _check_journal(path: Path) -> None:
    """Make the folder; raises `ValueError` for a file that is something else."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        with path.open("rb") as stream:
            first = stream.readline()
        if first and "op_code" not in json.loads(first):
            raise ValueError("not a journal of Optuna")


def open_study(
    storage: str | None,
    name: str,
    directions: Sequence[Direction],
    fingerprint: Mapping[str, str],
) -> tuple[BaseStorage, optuna.Study]:
    """
    The study `name`, made if there is none.

    Raises `UserError` if it is of something else, by `fingerprint`.
    """
    import optuna

    kept = open_storage(storage)
    where = f"study '{name}' in storage '{shown(storage or '')}'"
    try:
        study = optuna.create_study(
            storage=kept,
            study_name=name,
            directions=list(directions),
            sampler=optuna.samplers.RandomSampler(0),
            load_if_exists=True,
        )
        attributes = study.user_attrs
        trials = study.get_trials(deepcopy=False)
    except Exception as error:
        raise UserError(f"{where} cannot be read: {_first_line(error)}") from error
    found: Mapping[str, str] | None = attributes.get(FINGERPRINT)
    if found is None and not trials:
        study.set_user_attr(FINGERPRINT, dict(fingerprint))
        return kept, study
    remedy = "name another one in setup.study, or another storage"
    if found is None:
        raise UserError(f"{where} is not one of mase-opt: {remedy}")
    for what, mine in fingerprint.items():
        if found.get(what) != mine:
            raise UserError(f"{where} is of another {what}: {remedy}")
    return kept, study


class Owner:
    """
    This search, as an owner of trials in a storage.

    While it lives it gives signs of life, so that others know which trials to take
    over. Of processes on the same machine that is known without.
    """

    def __init__(self, storage: BaseStorage, study: optuna.Study, *, shared: bool):
        self.name = f"{_place()}:{os.getpid()}:{_started(os.getpid())}:{next(_count)}"
        self._storage = storage
        self._study = study
        self._shared = shared
        self._seen: dict[str, tuple[Any, float]] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Self:
        _active.add(self.name)
        if self._shared:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        _active.discard(self.name)
        self._ended.set()
        if self._shared:
            self._thread.join()

    def _beat(self) -> None:
        number = 0
        while not self._ended.wait(BEAT if number else 0):
            number += 1
            # Whoever waits for results is told if the storage is gone.
            with contextlib.suppress(Exception):
                self._study.set_user_attr(_LEASE + self.name, number)
        self._storage.remove_session()

    def lost(self, owner: str | None, number: int) -> bool:
        """Whether the owner of a trial is dead, as far as one can know yet."""
        if owner == self.name:
            return False
        if owner is not None:
            place, pid, started, _ = owner.rsplit(":", 3)
            if place == _place():
                if int(pid) == os.getpid() and started == _started(os.getpid()):
                    return owner not in _active
                return started != _started(int(pid))
        # A trial without an owner is just being started, or never will be.
        who = f"trial {number}" if owner is None else owner
        sign = self._study.user_attrs.get(_LEASE + who)
        now = time.monotonic()
        last, since = self._seen.setdefault(who, (sign, now))
        if last != sign:
            self._seen[who] = (sign, now)
            return False
        return now - since > GRACE


def _place() -> str:
    """This machine, or container."""
    with contextlib.suppress(OSError):
        return f"{socket.gethostname()}-{os.stat('/proc/self/ns/pid').st_ino}"
    return socket.gethostname()


def _started(pid: int) -> str:
    """When a process was started; another for each, empty if there is none."""
    with contextlib.suppress(OSError):
        if sys.platform == "linux":
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
        os.kill(pid, 0)
        return "some time"
    return ""
