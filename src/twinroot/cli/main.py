"""`twinroot`: the project's own command line. Each sub-command is a module of this package."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from twinroot import __version__
from twinroot.cli import (
    boot,
    config,
    convert,
    customize,
    diff,
    inspect,
    login,
    plan,
    pull,
    push,
    verify,
    verify_reproducible,
)
from twinroot.cli.arguments import Parser, add_global_flags

_COMMANDS = (
    ("customize", "make an image from a base image and a configuration", customize),
    ("plan", "show the steps that customize would take, and the disk, without running anything", plan),
    ("inspect", "show what is in a COSI file or a disk image", inspect),
    ("verify", "check a COSI file against every rule and every hash", verify),
    ("diff", "show in what two images differ", diff),
    ("verify-reproducible", "build an image twice and show the first difference, if there is one", verify_reproducible),
    ("convert", "turn a COSI file or a disk image into another format", convert),
    ("pull", "get the files of an artifact in a registry", pull),
    ("push", "store files in a registry, as one artifact", push),
    ("login", "keep credentials for a registry, after trying them", login),
    ("boot", "start a COSI file or a disk image in a virtual machine", boot),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code (2 for a wrong command line)."""
    arguments = build_parser().parse_args(argv)
    return int(arguments.run(arguments))


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = Parser(prog="twinroot", description="Build deployable Linux OS images, look into them, and boot them.")
    parser.add_argument("--version", action="version", version=__version__)
    parser.set_defaults(usage_failed=Parser.usage_error_code)
    add_global_flags(parser, top=True)
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)
    for name, summary, module in _COMMANDS:
        command = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        module.add_flags(command)
        command.set_defaults(run=module.run)
    summary = "forget the credentials for a registry"
    command = commands.add_parser("logout", help=summary, description=summary[0].upper() + summary[1:] + ".")
    login.add_logout_flags(command)
    command.set_defaults(run=login.run_logout)
    summary = "check a configuration, show it merged with its bases, export a schema"
    command = commands.add_parser("config", help=summary, description=summary[0].upper() + summary[1:] + ".")
    config.add_commands(command)
    return parser


if __name__ == "__main__":
    sys.exit(main())
