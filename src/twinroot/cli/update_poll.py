"""`trident-update-poll`: ask once for a newer image, stage it, and start it in time. A timer runs it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from twinroot import __version__
from twinroot.cli.arguments import Parser
from twinroot.cli.frame import Show, run_command
from twinroot.cli.trident import FAILED, LEVELS

DEFAULT_CONFIG = Path("/etc/trident/update-poll.yaml")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code (2 for any failure)."""
    arguments = build_parser().parse_args(argv)
    return run_command(arguments, "no update", lambda _emit: _poll(arguments), failed=FAILED)


def build_parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = Parser(
        prog="trident-update-poll",
        description="Ask a server once for a newer image; stage it, and start it when the time has come.",
    )
    parser.add_argument("-V", "--version", action="version", version=f"trident-update-poll {__version__}",
                        help="show the version")  # fmt: skip
    parser.add_argument("config", type=Path, nargs="?", default=DEFAULT_CONFIG, metavar="CONFIG",
                        help=f"where to ask, and when to reboot (default: {DEFAULT_CONFIG})")  # fmt: skip
    parser.add_argument("--dry-run", action="store_true", help="ask, and only say what would be done")
    parser.add_argument(
        "-v", "--verbosity", dest="log_level", type=str.lower, choices=LEVELS, metavar="LEVEL", default="info",
        help=f"what to report on standard error: {', '.join(LEVELS).upper()} (default: INFO)",
    )  # fmt: skip
    parser.set_defaults(log_format="text", log_color="auto", log_file=None)
    return parser


def _poll(arguments: argparse.Namespace) -> Show:
    from twinroot.agent.agent_config import read_datastore_path
    from twinroot.agent.poll_run import Poll
    from twinroot.config.update_poll import load_poll_config

    poll = Poll(load_poll_config(arguments.config), read_datastore_path())
    decision = poll.run(act=not arguments.dry_run)
    return lambda: print(f"{decision.action.name.lower()}: {decision.reason}")


if __name__ == "__main__":
    sys.exit(main())
