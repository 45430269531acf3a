"""`mase-opt`: the compiler driver."""

import faulthandler
import gc
import sys


def main() -> None:
    """Entry point."""
    if sys.argv[1:] in (["--version"], ["-v"]):
        # Without the import of xDSL, which takes longer than all the rest.
        from importlib.metadata import version

        from mase_opt import __version__

        print(f"mase-opt {__version__} (xDSL {version('xdsl')})")
        return
    from mase_opt.driver.supervisor import supervise
    from mase_opt.lib.standard_output import fill_closed_streams

    fill_closed_streams()
    supervise()
    if "--debug" in sys.argv:
        faulthandler.enable()
    from mase_opt.driver.main import run

    # IR is cyclic and lives to the end: looking for garbage costs a tenth of a run.
    gc.disable()
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
