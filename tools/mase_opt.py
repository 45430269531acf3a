"""`mase-opt`: the compiler driver."""

import gc
import signal
import sys
from types import FrameType


def main() -> None:
    """Entry point."""
    if sys.argv[1:] in (["--version"], ["-v"]):
        # Without the import of xDSL, which takes longer than all the rest.
        from importlib.metadata import version

        from mase_opt import __version__

        print(f"mase-opt {__version__} (xDSL {version('xdsl')})")
        return
    from mase_opt.driver import run

    # IR is cyclic and lives to the end: looking for garbage costs a tenth of a run.
    gc.disable()
    # An exception, so that half-written temporary files are removed.
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(run(sys.argv[1:]))


def _terminate(signum: int, frame: FrameType | None) -> None:
    sys.exit(128 + signum)


if __name__ == "__main__":
    main()
