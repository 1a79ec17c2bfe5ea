"""The reference pages of the configuration languages, made from the JSON schemas of the models.

Each page is about some objects, by key path; what lies below them and has no page of its own is on the same page. The
examples are files of docs/config-examples; tests load them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docs.pages import NOTE, cell

from twinroot.config.image.not_built import NOT_BUILT
from twinroot.config.image.preview_rules import GATES
from twinroot.config.schema import schema

Schema = Mapping[str, Any]

_INDEX_HEAD = """# Image configuration

What a configuration may hold, key by key. `[]` in a key path stands for each item of a list.

Every mistake is reported at once, with file, line and column:
[check a configuration](../../how-to/check-a-configuration.md). What several keys must satisfy together (partitions that
fit on the disk, a mount point that is used once, …) is checked too.

- **Sizes** are digits and one of `K`, `M`, `G`, `T` (powers of 1024), in whole MiB.
- **Permissions** are octal digits: `755`, `"755"` and `0755` are the same.
- **Text** may be written with or without quotes: `version: 3.0` is the text `3.0`.
- **A key without value** (`key:`) is as if it were not there.
- **Paths on the build host** are relative to the directory of the file that holds them.

A schema for editors: [check while you type](../../how-to/check-a-configuration.md#while-you-type).
"""
_NOT_BUILT_HEAD = """
## Not built yet

A configuration with these keys or values is checked in full, and running it ends with an error that names them; nothing
is ignored silently.

"""
_GATES_HEAD = """
## Preview features

These need a name in `previewFeatures` of the same file, as in Image Customizer:

| key | preview feature |
|---|---|
"""


@dataclass(frozen=True)
class Page:
    """A page: its file, title, language, the objects it is about, and the names of its examples."""

    name: str
    title: str
    objects: tuple[str, ...]
    examples: tuple[str, ...]
    language: str = "image"


PAGES = (
    Page("input.md", "The base image", ("input",), ("input",)),
    Page("storage.md", "Disks and file systems", ("storage",), ("storage", "storage-btrfs", "storage-verity")),
    Page("os.md", "The operating system", ("os",), ("os",)),
    Page("packages.md", "Packages", ("os.packages",), ("packages",)),
    Page("users.md", "Users and groups", ("os.users[]", "os.groups[]"), ("users",)),
    Page("files.md", "Files and directories", ("os.additionalFiles[]", "os.additionalDirs[]"), ("files",)),
    Page("modules.md", "Kernel modules", ("os.modules[]",), ("modules",)),
    Page("overlays.md", "Overlays", ("os.overlays[]",), ("overlays",)),
    Page("uki.md", "Unified kernel images", ("os.uki",), ("uki",)),
    Page("scripts.md", "Scripts", ("scripts",), ("scripts",)),
    Page("media.md", "ISO and PXE", ("iso", "pxe"), ("media",)),
    Page("output.md", "The output", ("output",), ("output",)),
    Page("base-configs.md", "Base configurations", ("baseConfigs[]",), ("base-configs",)),
    Page("package-lists.md", "Package list files", ("",), ("package-list",), language="package-list"),
    Page("inject-files.md", "Files to inject", ("",), ("inject-files",), language="inject-files"),
)


def config_pages(examples: Path) -> dict[str, str]:
    """Every page by its file name; `examples` is the directory of the examples."""
    image = schema("image")
    index = [NOTE, _INDEX_HEAD, "\n", *_table("", image, image, "README.md", PAGES)]
    index += ["\nOther files:\n\n"]
    index += [f"- [{page.title}]({page.name})\n" for page in PAGES if page.language != "image"]
    index += [_GATES_HEAD, *(f"| `{pattern.path}`{_values(pattern.values)} | `{name}` |\n" for name, pattern in GATES)]
    index += ["| `baseConfigs` | `base-configs` |\n", _NOT_BUILT_HEAD]
    index += [f"- `{pattern.path}`{_values(pattern.values)}\n" for pattern in NOT_BUILT]
    return {"README.md": "".join(index)} | {page.name: _page(page, examples) for page in PAGES}


def _values(values: tuple[str, ...]) -> str:
    return ": " + ", ".join(f"`{value}`" for value in values) if values else ""


def _page(page: Page, examples: Path) -> str:
    whole = schema(page.language)
    parts = [NOTE, f"# {page.title}\n"]
    parts.append("\nFor example:\n")
    for name in page.examples:
        parts.append(f"\n```yaml\n{(examples / f'{name}.yaml').read_text()}```\n")
    pages = PAGES if page.language == "image" else (page,)
    for path in page.objects:
        for below, found in _objects(path, _at(whole, path), whole):
            if below == path or _home(below, pages) == page.name:
                if below:
                    parts.append(f"\n## `{below}`\n")
                parts += [f"\n{found.get('description', '')}\n\n", *_table(below, found, whole, page.name, pages)]
    return "".join(parts)


def _at(whole: Schema, path: str) -> Schema:
    """The schema of the object at a key path."""
    found = whole
    for key in re.findall(r"[^.\[\]]+", path):
        found = _item(found["properties"][key], whole)[0]
    return found


def _objects(path: str, found: Schema, whole: Schema) -> Iterator[tuple[str, Schema]]:
    """An object and all objects below it, by key path."""
    yield path, found
    for key, entry in found.get("properties", {}).items():
        below, suffix = _item(entry, whole)
        if "properties" in below:
            yield from _objects(f"{path}.{key}{suffix}".lstrip("."), below, whole)


def _table(path: str, found: Schema, whole: Schema, here: str, pages: tuple[Page, ...]) -> Iterator[str]:
    """The keys of an object as a table."""
    required = found.get("required", ())
    yield "| key | value | meaning |\n|---|---|---|\n"
    for key, entry in found["properties"].items():
        below, suffix = _item(entry, whole)
        name = f"`{key}`"
        if "properties" in below:
            target = f"{path}.{key}{suffix}".lstrip(".")
            home = _home(target, pages)
            name = f"[{name}]({'' if home == here else home}#{_anchor(target)})"
        kind = _kind(below) + (", required" if key in required else "")
        kind = f"list of {kind}" if suffix and "properties" not in below else kind
        kind = f"list of {kind}s" if suffix and "properties" in below else kind
        yield f"| {name} | {cell(kind)} | {cell(entry.get('description', ''))} |\n"


def _home(path: str, pages: tuple[Page, ...]) -> str:
    """The page about an object: that of the longest key path that leads to it."""
    found = [(len(each), page.name) for page in pages for each in page.objects if f"{path}.".startswith(each)]
    return max(found)[1]


def _anchor(path: str) -> str:
    return re.sub(r"[^\w\- ]", "", path.lower())


def _item(entry: Schema, whole: Schema) -> tuple[Schema, str]:
    """What says most about a value, or about each item of a list, and `[]` for a list."""
    found = _resolve(entry, whole)
    return (_resolve(found["items"], whole), "[]") if found.get("type") == "array" else (found, "")


def _resolve(entry: Schema, whole: Schema) -> Schema:
    """References followed, `null` and short forms left out."""
    if "$ref" in entry:
        return _resolve(whole["$defs"][entry["$ref"].rpartition("/")[2]], whole)
    options = [_resolve(option, whole) for option in entry.get("anyOf", ()) if option.get("type") != "null"]
    objects = [option for option in options if "properties" in option]
    return (objects or options or [entry])[0]


def _kind(entry: Schema) -> str:
    """What may be written, in a few words."""
    if "properties" in entry:
        return "object"
    if "enum" in entry:
        return ", ".join(f"`{value}`" for value in entry["enum"] if value)
    if "const" in entry:
        return f"`{entry['const']}`"
    if "minimum" in entry:
        return f"{entry['minimum']} to {entry['maximum']}"
    if entry.get("type") == "object":
        return "map of text to text"
    examples = [f"`{example}`" for example in entry.get("examples", ())]
    if examples:
        return f"such as {', '.join(examples)}"
    kinds = entry.get("type", "")
    return "boolean" if "boolean" in kinds and "number" not in kinds else "text"
