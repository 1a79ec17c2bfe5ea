"""`twinroot config`: check a configuration, show what its files come to, export the schema of the language."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twinroot.cli import validate
from twinroot.cli.arguments import Parser, add_global_flags
from twinroot.cli.frame import Show, print_json, report_problems, run_command

if TYPE_CHECKING:
    from twinroot.config.document import Document

LANGUAGES = ("image", "host", "inject-files", "package-list")


def add_commands(parser: argparse.ArgumentParser) -> None:
    """The sub-commands of `config`, each with its flags."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)
    text = "Say whether configurations are right, with every mistake at its place."
    command = commands.add_parser("check", help="say whether configurations are right", description=text)
    validate.add_flags(command)
    command.set_defaults(run=validate.run)
    text = "Print a configuration merged with the files it builds upon. Paths are relative to the directory of FILE."
    command = commands.add_parser("show", help="print a configuration merged with its bases", description=text)
    command.add_argument("file", type=Path, metavar="FILE", help="an image configuration")
    command.add_argument("--origin", action="store_true", help="say behind each value where it comes from")
    command.add_argument("--json", action="store_true", help="print one JSON object")
    add_global_flags(command, top=False)
    command.set_defaults(run=_run_show)
    text = "Print a JSON schema (draft 2020-12) for editors."
    command = commands.add_parser("schema", help="print a JSON schema for editors", description=text)
    command.add_argument("--language", choices=LANGUAGES, default="image", help="which kind of file (default: image)")
    add_global_flags(command, top=False)
    command.set_defaults(run=_run_schema)


def _run_show(arguments: argparse.Namespace) -> int:
    return run_command(arguments, "the configuration cannot be shown", lambda _emit: _show(arguments))


def _show(arguments: argparse.Namespace) -> Show:
    from twinroot.config.load import load_image_config
    from twinroot.config.show import as_yaml, relative_to

    loaded = load_image_config(arguments.file)
    report_problems(loaded.warnings, logging.WARNING, arguments.log_format)
    paths = {found.key: found.path for found in loaded.paths}
    document = relative_to(loaded.document, paths, loaded.path.parent)
    if arguments.json:
        return lambda: print_json(_as_json(document, origins=arguments.origin))
    text = as_yaml(document, origins=arguments.origin)
    return lambda: print(text, end="")


def _as_json(document: Document, *, origins: bool) -> dict[str, Any]:
    from twinroot.config.document import plain
    from twinroot.config.problems import show_path
    from twinroot.config.show import origins_of

    found: dict[str, Any] = {"config": plain(document.root)}
    if origins:
        places = origins_of(document)
        found["origins"] = {show_path(path): {"file": p.source.file, "line": p.line} for path, p in places.items()}
    return found


def _run_schema(arguments: argparse.Namespace) -> int:
    return run_command(arguments, "the schema cannot be printed", lambda _emit: _schema(arguments))


def _schema(arguments: argparse.Namespace) -> Show:
    from twinroot.config.schema import schema

    return lambda: print_json(schema(arguments.language))
