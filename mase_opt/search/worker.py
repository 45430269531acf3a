"""A process that measures trials: `python -m mase_opt.search.worker <descriptor>`."""

from __future__ import annotations

import os
import pickle
import sys
import threading
from multiprocessing.connection import Connection

from mase_opt.lib.errors import UserError
from mase_opt.search.measure import Bench, Job, measure


def main() -> None:
    """Entry point."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    connection: Connection[object, Job] = Connection(int(sys.argv[1]))
    bench: Bench = pickle.loads(connection.recv_bytes())
    try:
        runners = bench.runners()
    except UserError as error:
        connection.send(error)
        return
    while True:
        try:
            job = connection.recv()
        except EOFError:
            return
        connection.send(measure(bench, runners, job))


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    main()
