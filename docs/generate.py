"""The reference pages that follow from the code: command lines from the parsers, configuration keys from the models.

    python -m docs.generate            write them
    python -m docs.generate --check    say which are stale; exit code 1 if any

Tables are made from the parsers' actions, not from argparse's help text, which looks different in every Python.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from textwrap import wrap

from docs.generate_config import config_pages, host_pages
from docs.pages import NOTE, cell

from twinroot.cli import imagecustomizer, main, trident, update_poll

DOCS = Path(__file__).resolve().parent
_COMMANDS_HEAD = """# Command line

All commands write results to standard output, and messages to standard error. Global flags may stand before or after
the sub-command. Flags are never abbreviated. Exit codes and log formats: [exit codes and logs](exit-codes-and-logs.md).
"""


def documents() -> dict[Path, str]:
    """Every generated page with its text."""
    examples = DOCS / "config-examples"
    return {
        DOCS / "reference/command-line.md": command_line(),
        **{DOCS / "reference/config" / name: text for name, text in config_pages(examples).items()},
        **{DOCS / "reference/host-config" / name: text for name, text in host_pages(examples).items()},
    }


def command_line() -> str:
    """The page about `twinroot`, `imagecustomizer`, `trident` and `trident-update-poll`."""
    parts = [NOTE, _COMMANDS_HEAD]
    for program in (main, imagecustomizer, trident, update_poll):
        parser = program.build_parser()
        parts.append(f"\n## {parser.prog}\n\n{parser.description}\n")
        if parser.epilog:
            parts.append(f"\n{parser.epilog}\n")
        title = "Global flags:" if list(_commands(parser)) else f"```text\n{_synopsis(parser, ())}\n```"
        parts.append(f"\n{title}\n\n" + _table(parser, ()))
        global_flags = {flag for action in parser._actions for flag in action.option_strings}
        for command in _last_commands(parser):
            parts.append(f"\n### {command.prog}\n\n{command.description}\n")
            parts.append(f"\n```text\n{_synopsis(command, global_flags)}\n```\n")
            parts.append("\n" + _table(command, global_flags))
    return "".join(parts)


def _last_commands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The commands below a parser that have none below themselves: `config` is told by `config check` and the like.

    One without a description is only there to be refused.
    """
    for command in _commands(parser):
        below = list(_last_commands(command))
        yield from below or ([command] if command.description else [])


def _commands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from dict.fromkeys(action.choices.values())  # another name leads to the same command


def _own(parser: argparse.ArgumentParser, left_out: Iterable[str]) -> list[argparse.Action]:
    """The actions to show: no sub-commands, no help, nothing hidden, none of the flags to be left out."""
    hidden = set(left_out)
    return [
        action
        for action in parser._actions
        if not isinstance(action, (argparse._SubParsersAction, argparse._HelpAction))
        and not hidden.intersection(action.option_strings)
        and action.help != argparse.SUPPRESS
    ]


def _synopsis(parser: argparse.ArgumentParser, left_out: Iterable[str]) -> str:
    if parser.usage:
        return "\n".join((usage.strip() % {"prog": parser.prog}) for usage in parser.usage.split(" | "))
    words = [parser.prog]
    for action in _own(parser, left_out):
        text = " ".join([*action.option_strings[:1], *_value(action)])
        text += "..." if action.nargs == argparse.ONE_OR_MORE else ""
        words.append(text if action.required else f"[{text}]")
    return "\n".join(wrap(" ".join(words), 100, subsequent_indent="    ", break_on_hyphens=False))


def _table(parser: argparse.ArgumentParser, left_out: Iterable[str]) -> str:
    rows = ["| argument | meaning |\n", "|---|---|\n"]
    for action in _own(parser, left_out):
        names = action.option_strings or [""]
        shown = cell(", ".join(f"`{' '.join([*filter(None, [name]), *_value(action)])}`" for name in names))
        text = (action.help or "") % {"default": action.default, "prog": parser.prog}
        rows.append(f"| {shown} | {cell(text)}{' (required)' if action.required and names[0] else ''} |\n")
    return "".join(rows)


def _value(action: argparse.Action) -> list[str]:
    """How the value of an argument is written; empty for a switch."""
    if action.nargs == 0:
        return []
    if action.choices and not action.metavar:
        return ["|".join(map(str, action.choices))]
    return [str(action.metavar or action.dest.upper())]


def run() -> int:
    """Write the pages, or with --check compare them; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 when a page is stale")
    check = parser.parse_args().check
    stale = [path for path, text in documents().items() if not path.exists() or path.read_text() != text]
    for path in stale:
        print(f"{path.relative_to(DOCS.parent)}: {'stale' if check else 'written'}")
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(documents()[path])
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(run())
