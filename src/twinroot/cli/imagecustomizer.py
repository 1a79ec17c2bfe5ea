"""`imagecustomizer`: the peer's command line. Without a sub-command it means `customize`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from twinroot import __version__
from twinroot.cli import convert, customize, validate
from twinroot.cli.arguments import (
    CompatibleParser,
    add_compatible_flags,
    add_global_flags,
    add_unbuilt_command,
    add_unbuilt_flags,
)

# Global flags that take a value, which must not be mistaken for a sub-command.
_VALUED = ("--log-level", "--log-format", "--log-color", "--log-file", "--timestamp-file")
_PLAIN = ("--disable-telemetry",)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code (80 for a wrong command line)."""
    words = list(sys.argv[1:] if argv is None else argv)
    arguments = build_parser().parse_args(with_command(words))
    return int(arguments.run(arguments))


def with_command(words: Sequence[str]) -> list[str]:
    """The command line with `customize` put in where it names no sub-command."""
    index = 0
    while index < len(words) and words[index].startswith("-"):
        if words[index] in ("-h", "--help", "--version"):
            return list(words)
        if words[index] not in (*_VALUED, *_PLAIN) and words[index].split("=")[0] not in _VALUED:
            break
        index += 2 if words[index] in _VALUED else 1
    if index < len(words) and not words[index].startswith("-"):
        return list(words)
    return [*words[:index], "customize", *words[index:]]


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; `customize` must be named to it."""
    parser = CompatibleParser(
        prog="imagecustomizer",
        description="Customise an OS image (part of twinroot).",
        epilog="Without a COMMAND, customize is meant; see its flags with: imagecustomizer customize --help",
    )
    parser.add_argument("--version", action="version", version=__version__)
    add_global_flags(parser, top=True)
    add_compatible_flags(parser)
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=CompatibleParser)
    command = commands.add_parser(
        "customize", help="customise a base image (the default)", description="Make an image from a base image."
    )
    customize.add_flags(command)
    add_unbuilt_flags(command)
    add_compatible_flags(command)
    command.set_defaults(run=customize.run)
    command = commands.add_parser(
        "convert", help="turn an image into another format", description="Turn an image into another format."
    )
    convert.add_compatible_flags(command)
    add_compatible_flags(command)
    command.set_defaults(run=convert.run_compatible)
    command = commands.add_parser(
        "validate-config", help="say whether a configuration is right",
        description="Say whether a configuration is right, with every mistake at its place. Nothing is run.",
    )  # fmt: skip
    validate.add_compatible_flags(command)
    add_compatible_flags(command)
    command.set_defaults(run=validate.run_compatible)
    for name in ("create", "inject-files"):
        add_unbuilt_command(commands, name)
    return parser


if __name__ == "__main__":
    sys.exit(main())
