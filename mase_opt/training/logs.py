"""Messages of a run: to standard error, and to a file of its own."""

from __future__ import annotations

import logging
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import lightning
import lightning.fabric
import lightning.pytorch
from loguru import logger

if TYPE_CHECKING:
    from loguru import Record

TALKATIVE = tuple(
    module.__name__ for module in (lightning, lightning.pytorch, lightning.fabric)
)
"""Loggers that write by themselves, of which only warnings are wanted."""


class _Intercepted(logging.Handler):
    """Python's logging, into the same places."""

    def emit(self, record: logging.LogRecord) -> None:
        level: str | int = record.levelname
        try:
            level = logger.level(record.levelname).name
        except ValueError:
            level = record.levelno
        logger.opt(exception=record.exc_info).log(level, record.getMessage())


@contextmanager
def logging_to(folder: Path, name: str, level: str) -> Generator[Path]:
    """
    Write messages within the block: of `level` on to standard error, all to a file.

    The file is `folder/name.YYYYMMDD-HHMMSS.log`, which no other run has. What
    libraries log by `logging` is there, too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = _new_file(folder, f"{name}.{datetime.now().strftime('%Y%m%d-%H%M%S')}")
    with suppress(ValueError):
        logger.remove(0)  # loguru's own, unless it is gone
    sinks = [
        logger.add(_stderr, level=level.upper(), format=_short, colorize=False),
        logger.add(path, level="DEBUG", encoding="utf-8"),
    ]
    handler = _Intercepted()
    root = logging.getLogger()
    talkers = [logging.getLogger(name) for name in TALKATIVE]
    before = root.level, [(t, t.handlers, t.level, t.propagate) for t in talkers]
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    for talker in talkers:
        talker.handlers, talker.propagate = [], True
        talker.setLevel(logging.WARNING)
    try:
        yield path
    finally:
        root.removeHandler(handler)
        root.setLevel(before[0])
        for talker, handlers, own_level, propagate in before[1]:
            talker.handlers, talker.propagate = handlers, propagate
            talker.setLevel(own_level)
        for sink in sinks:
            logger.remove(sink)


def _stderr(message: str) -> None:
    # What it is at the time of the message.
    sys.stderr.write(message)


def _short(record: Record) -> str:
    severe = record["level"].no >= logging.WARNING
    return "warning: {message}\n" if severe else "{message}\n"


def _new_file(folder: Path, stem: str) -> Path:
    number = 0
    while True:
        path = folder / (f"{stem}.log" if number == 0 else f"{stem}-{number}.log")
        try:
            path.touch(exist_ok=False)
            return path
        except FileExistsError:
            number += 1
