"""The reference pages that follow from the code: command lines from the parsers, configuration keys from the models.

    python docs/generate.py            write them
    python docs/generate.py --check    say which are stale; exit code 1 if any

Tables are made from the parsers' actions, not from argparse's help text, which looks different in every Python.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from textwrap import wrap
from typing import Any

from twinroot.cli import imagecustomizer, main
from twinroot.config.image.config import ImageConfig
from twinroot.config.image.not_built import NOT_BUILT

DOCS = Path(__file__).resolve().parent
_NOTE = "<!-- Made by docs/generate.py from the code; changes here are lost. -->\n"
_COMMANDS_HEAD = """# Command line

Both commands write results to standard output, and messages to standard error. Global flags may stand before or after
the sub-command. Flags are never abbreviated. Exit codes and log formats: [exit codes and logs](exit-codes-and-logs.md).
"""
_CONFIG_HEAD = """# Image configuration: keys

Every key that this version accepts. `[]` stands for each item of a list. What several keys must satisfy together
(partitions that fit on the disk, a mount point that is used once, …) is checked too; each error names the file, line
and column of every problem. Sizes are digits and one of `K`, `M`, `G`, `T` (powers of 1024), in whole MiB.
"""
_NOT_BUILT_HEAD = """
## Known, but not built yet

The configuration language of Image Customizer has these keys and values too. A configuration that uses one is refused
with the place of the key; nothing is ignored silently.

"""


def documents() -> dict[Path, str]:
    """Every generated page with its text."""
    return {
        DOCS / "reference/command-line.md": command_line(),
        DOCS / "reference/image-configuration.md": image_configuration(),
    }


def command_line() -> str:
    """The page about `twinroot` and `imagecustomizer`."""
    parts = [_NOTE, _COMMANDS_HEAD]
    for parser in (main.build_parser(), imagecustomizer.build_parser()):
        parts.append(f"\n## {parser.prog}\n\n{parser.description}\n")
        if parser.epilog:
            parts.append(f"\n{parser.epilog}\n")
        parts.append("\nGlobal flags:\n\n" + _table(parser, ()))
        global_flags = {flag for action in parser._actions for flag in action.option_strings}
        for name, command in _commands(parser):
            parts.append(f"\n### {parser.prog} {name}\n\n{command.description}\n")
            parts.append(f"\n```text\n{_synopsis(command, global_flags)}\n```\n")
            parts.append("\n" + _table(command, global_flags))
    return "".join(parts)


def _commands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()


def _own(parser: argparse.ArgumentParser, left_out: Iterable[str]) -> list[argparse.Action]:
    """The actions to show: no sub-commands, no help, none of the flags to be left out."""
    hidden = set(left_out)
    return [
        action
        for action in parser._actions
        if not isinstance(action, (argparse._SubParsersAction, argparse._HelpAction))
        and not hidden.intersection(action.option_strings)
    ]


def _synopsis(parser: argparse.ArgumentParser, left_out: Iterable[str]) -> str:
    if parser.usage:
        return "\n".join(usage.strip() for usage in parser.usage.split(" | "))
    words = [parser.prog]
    for action in _own(parser, left_out):
        text = " ".join([*action.option_strings[:1], *_value(action)])
        words.append(text if action.required else f"[{text}]")
    return "\n".join(wrap(" ".join(words), 100, subsequent_indent="    ", break_on_hyphens=False))


def _table(parser: argparse.ArgumentParser, left_out: Iterable[str]) -> str:
    rows = ["| argument | meaning |\n", "|---|---|\n"]
    for action in _own(parser, left_out):
        names = action.option_strings or [""]
        shown = _cell(", ".join(f"`{' '.join([*filter(None, [name]), *_value(action)])}`" for name in names))
        text = (action.help or "") % {"default": action.default, "prog": parser.prog}
        rows.append(f"| {shown} | {_cell(text)}{' (required)' if action.required and names[0] else ''} |\n")
    return "".join(rows)


def _value(action: argparse.Action) -> list[str]:
    """How the value of an argument is written; empty for a switch."""
    if action.nargs == 0:
        return []
    if action.choices and not action.metavar:
        return ["|".join(map(str, action.choices))]
    return [str(action.metavar or action.dest.upper())]


def image_configuration() -> str:
    """The page about the keys of an image configuration."""
    schema = ImageConfig.model_json_schema(by_alias=True)
    rows = ["\n| key | value | meaning |\n", "|---|---|---|\n"]
    for key, value, meaning in _keys(schema, schema.get("$defs", {}), ""):
        rows.append(f"| `{key}` | {_cell(value)} | {_cell(meaning)} |\n")
    built = [f"- `{entry.path}`" + _values(entry.values) + "\n" for entry in NOT_BUILT]
    return "".join([_NOTE, _CONFIG_HEAD, *rows, _NOT_BUILT_HEAD, *built])


def _values(values: tuple[str, ...]) -> str:
    return ": " + ", ".join(f"`{value}`" for value in values) if values else ""


def _keys(schema: Mapping[str, Any], defs: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str, str]]:
    """Key path, kind of value and description of every property below an object's schema, depth first."""
    required = schema.get("required", ())
    for name, entry in schema.get("properties", {}).items():
        found, suffix = _resolve(entry, defs), ""
        if found.get("type") == "array":
            found, suffix = _resolve(found["items"], defs), "[]"
        key = f"{prefix}{name}{suffix}"
        kind = "object" if "properties" in found else _kind(found, _unbuilt_values(key))
        if suffix:
            kind = "list of objects" if kind == "object" else "list of strings"
        yield key, kind + (", required" if name in required else ""), entry.get("description", "")
        yield from _keys(found, defs, f"{key}.")


def _resolve(entry: Mapping[str, Any], defs: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema that says most about a value: references followed, `null` and short forms left out."""
    if "$ref" in entry:
        return _resolve(defs[entry["$ref"].rpartition("/")[2]], defs)
    options = [_resolve(option, defs) for option in entry.get("anyOf", ()) if option.get("type") != "null"]
    objects = [option for option in options if "properties" in option]
    return (objects or options or [entry])[0]


def _unbuilt_values(key: str) -> tuple[str, ...]:
    """Values of a key that the models know and this version lacks."""
    return next((entry.values for entry in NOT_BUILT if entry.path == key), ())


def _kind(entry: Mapping[str, Any], left_out: tuple[str, ...]) -> str:
    if "enum" in entry:
        return ", ".join(f"`{value}`" for value in entry["enum"] if value and value not in left_out)
    if "const" in entry:
        return f"`{entry['const']}`"
    if "minimum" in entry:
        return f"{entry['minimum']} to {entry['maximum']}"
    examples = [f"`{example}`" for example in entry.get("examples", ())]
    return f"such as {', '.join(examples)}" if examples else str(entry.get("type", ""))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


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
