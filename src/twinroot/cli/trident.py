"""`trident`: the agent's command line, as the peer has it (servicing spec, section 1)."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from twinroot import __version__
from twinroot.cli.arguments import Parser
from twinroot.cli.frame import report_problems, run_command
from twinroot.events import Emit

log = logging.getLogger("twinroot.cli")

FAILED = 2
"""The exit code for any error of a command, a wrong command line among them; 1 is for a failure to log."""

DEFAULT_CONFIG = Path("/etc/trident/config.yaml")
LEVELS = ("off", "error", "warn", "info", "debug", "trace")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code (2 for a wrong command line)."""
    arguments = build_parser().parse_args(argv)
    return int(arguments.run(arguments))


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = Parser(prog="trident", description="Install an OS image on this machine and keep it up to date.")
    parser.add_argument("-V", "--version", action="version", version=f"trident {__version__}", help="show the version")
    _add_global_flags(parser, top=True)
    parser.set_defaults(log_format="text", log_color="auto", log_file=None)
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)
    summary = "say whether a host configuration is right"
    command = commands.add_parser(
        "validate",
        help=summary,
        description="Say whether a host configuration is right. Nothing on the machine is read.",
    )
    command.add_argument(
        "config", type=Path, nargs="?", default=DEFAULT_CONFIG, metavar="CONFIG",
        help=f"the host configuration (default: {DEFAULT_CONFIG})",
    )  # fmt: skip
    _add_global_flags(command, top=False)
    command.set_defaults(run=_run_validate)
    return parser


def _add_global_flags(parser: argparse.ArgumentParser, *, top: bool) -> None:
    """Below the top they have no default, so as not to hide what stood before."""
    parser.add_argument(
        "-v", "--verbosity", dest="log_level", type=str.lower, choices=LEVELS, metavar="LEVEL",
        default="debug" if top else argparse.SUPPRESS,
        help=f"what to report on standard error: {', '.join(LEVELS).upper()} (default: DEBUG)",
    )  # fmt: skip


def _run_validate(arguments: argparse.Namespace) -> int:
    from twinroot.config.load_host import load_host_config

    def work(_emit: Emit) -> None:
        loaded = load_host_config(arguments.config)
        report_problems(loaded.warnings, logging.WARNING, arguments.log_format)
        log.info("Host Configuration is valid: %s", arguments.config)

    return run_command(arguments, "Host Configuration is not valid", work, failed=FAILED)


if __name__ == "__main__":
    sys.exit(main())
