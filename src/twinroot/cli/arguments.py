"""Argument parsing shared by the commands: no abbreviations, global flags before or after the sub-command.

Flags of the peer's builder: image config spec §11.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

LOG_LEVELS = ("panic", "fatal", "error", "warn", "info", "debug", "trace")
COLORS = ("always", "auto", "never")
# Those that we write first, for messages; the others are the peer's, and a run says that they are not built yet. Not
# taken from the configuration's model, which takes long to import.
WRITTEN_FORMATS = ("cosi", "raw", "qcow2", "vhd", "vhd-fixed", "vhdx")
_REFUSED = "not built yet: refused"
OUTPUT_FORMATS = (*WRITTEN_FORMATS, "iso", "pxe-dir", "pxe-tar", "baremetal-image")


class Parser(argparse.ArgumentParser):
    """An argument parser with a chosen exit code for usage errors, which go to standard error with the usage."""

    usage_error_code = 2

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **options})
        self.register("type", Path, path_argument)

    def error(self, message: str) -> NoReturn:
        """End the program: the usage and what is wrong with the command line."""
        self.print_usage(sys.stderr)
        self.exit(self.usage_error_code, f"{self.prog}: error: {message}\n")


def path_argument(text: str) -> Path:
    """A path of a command line. An empty one, as of a variable of a shell that is not set, would be this directory."""
    if not text:
        raise argparse.ArgumentTypeError("the path is empty")
    return Path(text)


class CompatibleParser(Parser):
    """The peer's exit code for usage errors is 80."""

    usage_error_code = 80


def add_global_flags(parser: argparse.ArgumentParser, *, top: bool) -> None:
    """Flags that every command takes. Below the top they have no default, so as not to hide what stood before."""

    def default(value: object) -> object:
        return value if top else argparse.SUPPRESS

    group = parser.add_argument_group("global flags")
    group.add_argument(
        "--log-level", choices=LOG_LEVELS, default=default("info"), metavar="LEVEL",
        help=f"what to report on standard error: {', '.join(LOG_LEVELS)} (default: info)",
    )  # fmt: skip
    group.add_argument(
        "--log-format", choices=("text", "json"), default=default("text"), help="json: one object a line"
    )
    group.add_argument("--log-color", choices=COLORS, default=default("auto"), help="when to use colours")
    group.add_argument(
        "--log-file", type=Path, default=default(None), metavar="PATH", help="also write everything to a file"
    )


def add_compatible_flags(parser: argparse.ArgumentParser) -> None:
    """Global flags of the peer that have nothing to act on here."""
    parser.add_argument(
        "--disable-telemetry", action="store_true", help="accepted for compatibility: there is no telemetry"
    )
    parser.add_argument("--timestamp-file", action=_NotBuilt, metavar="PATH", help=_REFUSED)


class _NotBuilt(argparse.Action):
    """A flag or a command of the peer that is known and cannot be done: said whatever else the command line lacks."""

    def __call__(
        self, parser: argparse.ArgumentParser, _namespace: object, _values: object, name: str | None = None
    ) -> None:
        parser.error(f"{name or self.metavar} is not built yet in this version of twinroot")


def add_unbuilt_flags(parser: argparse.ArgumentParser) -> None:
    """Flags of the peer's `customize` that are not built yet."""
    for name, value in (
        ("--tools-dir", "DIR"),
        ("--setfiles-context", "LABEL"),
        ("--output-selinux-policy-path", "DIR"),
    ):
        parser.add_argument(name, action=_NotBuilt, metavar=value, help=_REFUSED)


def add_unbuilt_command(commands: Any, name: str) -> None:
    """A sub-command of the peer that is not built yet, whatever its flags: none is one to this parser."""
    parser = commands.add_parser(name, help=_REFUSED, add_help=False, prefix_chars="\0")
    parser.add_argument("words", nargs="*", action=_NotBuilt, metavar=name, help=_REFUSED)


def output_format(text: str) -> str:
    """The value of `--output-image-format`; empty means not given (image config spec §11.2)."""
    if text and text not in OUTPUT_FORMATS:
        raise argparse.ArgumentTypeError(f"'{text}' is not known: use one of {', '.join(WRITTEN_FORMATS)}")
    return text


def split_list(values: Sequence[str] | None) -> tuple[str, ...]:
    """A repeatable flag whose values may hold several, separated by commas; `\\,` is a comma."""
    found = []
    for value in values or ():
        parts = value.replace("\\,", "\0").split(",")
        found += [part.replace("\0", ",") for part in parts if part]
    return tuple(found)
