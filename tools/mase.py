"""`mase`: train models, and bring them to hardware."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence

from mase_opt.lib.standard_output import fill_closed_streams, write_result


def run(args: Sequence[str]) -> int:
    """Run `mase` with these arguments; the exit code."""
    from mase_opt.driver.main import show_warnings
    from mase_opt.model.diagnostics import error_report_of, failure

    show_warnings()
    try:
        return _run(args)
    except BrokenPipeError:
        return 128 + 13  # nobody reads any more: as if ended by SIGPIPE
    # Models and plug-ins may call sys.exit: that is no success.
    except (Exception, SystemExit) as error:
        if "--debug" in args:
            traceback.print_exc()
            return 1
        report = error_report_of(error)
        text = report.render("", None) if report else f"error: {failure(error)}\n"
        sys.stderr.write(text)
        return 1


def _run(args: Sequence[str]) -> int:
    from mase_opt.training.command_line import help_text, info_type, parse
    from mase_opt.training.config import ACTIONS

    if not args or {"-h", "-v", "--help"} & set(args):
        action = next((a for a in args if a in ACTIONS), None)
        write_result(help_text(action))
        return 0
    if {"-V", "--version"} & set(args):
        from mase_opt import __version__

        write_result(f"mase {__version__}\n")
        return 0
    if (kind := info_type(args)) is not None:
        from mase_opt.training.listing import listing

        write_result(listing(kind))
        return 0
    command = parse(args)
    from mase_opt.training.actions import run_action
    from mase_opt.training.run_folder import is_first_process

    outcome = run_action(command.action, command.merged)
    if not is_first_process():
        return 0
    if line := outcome.line():
        write_result(f"{command.action}: {line}\n")
    if outcome.path is not None:
        print(f"wrote {outcome.path}", file=sys.stderr)
    return 0


def main() -> None:
    """Entry point."""
    from mase_opt.driver.supervisor import supervise

    fill_closed_streams()
    # SLURM's signal to queue a run again is for Lightning.
    if not {"--auto-requeue", "--auto_requeue"} & set(sys.argv):
        supervise()
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
