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

from twinroot.config.host.internal_params import WITHOUT_EFFECT
from twinroot.config.host.not_built import NOT_BUILT as HOST_NOT_BUILT
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


_HOST_INDEX_HEAD = """# Host configuration

What a host configuration may hold, key by key. It says what a machine shall be like; the agent `trident` makes it so.
`[]` in a key path stands for each item of a list, `*` for each name in a map.

Every mistake is reported at once, with file, line and column: `trident validate FILE` or `twinroot config check FILE`.
What lies upon what is checked too: ids that exist and are used once, kinds, sizes and types of partitions, mount
points.

- **Sizes** are bytes, or digits and one of `K`, `M`, `G`, `T` (powers of 1024).
- **Text** may be written with or without quotes.
- **A key without value** (`key:`) is as if it were not there, or an empty list where one is required, or an empty
  object in the maps of netplan.

A schema for editors: `twinroot config schema --language host`.
"""
_HOST_WITHOUT_EFFECT_HEAD = """
## Without effect

Each use is a warning.

"""
_HOST_NOT_BUILT_HEAD = """
## Not built yet

A configuration with these keys or values is checked in full, and servicing a machine with it ends with an error that
names them; nothing is ignored silently.

"""
_NETPLAN_HEAD = """
What stands below `network:` in a file of netplan 2, for systemd-networkd. Keys that all kinds of interfaces have are
described at each of them, and objects that stand in several places at the first one.
"""
_TRIDENT_HEAD = """
Settings of the agent itself.
"""


@dataclass(frozen=True)
class Page:
    """A page: its file, title, language, the objects it is about, and the names of its examples."""

    name: str
    title: str
    objects: tuple[str, ...]
    examples: tuple[str, ...]
    language: str = "image"
    head: str = ""


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


HOST_PAGES = (
    Page("image.md", "The image", ("image",), ("host-ab",), "host"),
    Page("storage.md", "Disks and file systems", ("storage",), ("host-devices", "host-verity"), "host"),
    Page("os.md", "The operating system", ("os", "managementOs"), ("host-os",), "host"),
    Page("netplan.md", "The network", ("os.netplan",), ("host-os",), "host", _NETPLAN_HEAD),
    Page("scripts.md", "Scripts and health checks", ("scripts", "health"), ("host-scripts",), "host"),
    Page("trident.md", "The agent", ("trident",), (), "host", _TRIDENT_HEAD),
)


def host_pages(examples: Path) -> dict[str, str]:
    """Every page about host configurations by its file name."""
    host = schema("host")
    canonical = dict(_first_paths("", host, host))
    index = [
        NOTE,
        _HOST_INDEX_HEAD,
        "\n",
        *_table("", host, host, "README.md", HOST_PAGES, canonical),
        _HOST_NOT_BUILT_HEAD,
    ]
    index += [f"- `{pattern.path}`{_values(pattern.values)}\n" for pattern in HOST_NOT_BUILT]
    index += [_HOST_WITHOUT_EFFECT_HEAD]
    index += [f"- `internalParams.{name}`: {reason}\n" for name, reason in WITHOUT_EFFECT.items()]
    pages = {page.name: _page(page, HOST_PAGES, examples, canonical) for page in HOST_PAGES}
    return {"README.md": "".join(index)} | pages


def config_pages(examples: Path) -> dict[str, str]:
    """Every page by its file name; `examples` is the directory of the examples."""
    image = schema("image")
    index = [NOTE, _INDEX_HEAD, "\n", *_table("", image, image, "README.md", PAGES, {})]
    index += ["\nOther files:\n\n"]
    index += [f"- [{page.title}]({page.name})\n" for page in PAGES if page.language != "image"]
    index += [_GATES_HEAD, *(f"| `{pattern.path}`{_values(pattern.values)} | `{name}` |\n" for name, pattern in GATES)]
    index += ["| `baseConfigs` | `base-configs` |\n", _NOT_BUILT_HEAD]
    index += [f"- `{pattern.path}`{_values(pattern.values)}\n" for pattern in NOT_BUILT]
    pages = {page.name: _page(page, PAGES if page.language == "image" else (page,), examples, {}) for page in PAGES}
    return {"README.md": "".join(index)} | pages


def _values(values: tuple[str, ...]) -> str:
    return ": " + ", ".join(f"`{value}`" for value in values) if values else ""


def _page(page: Page, pages: tuple[Page, ...], examples: Path, canonical: Mapping[str, str]) -> str:
    """`canonical`: where an object that stands in several places is described; empty for everywhere."""
    whole = schema(page.language)
    parts = [NOTE, f"# {page.title}\n", page.head]
    parts.append("\nFor example:\n" if page.examples else "")
    for name in page.examples:
        parts.append(f"\n```yaml\n{(examples / f'{name}.yaml').read_text()}```\n")
    for path in page.objects:
        for below, found in _objects(path, _at(whole, path), whole, canonical):
            if below == path or _home(below, pages) == page.name:
                if below:
                    parts.append(f"\n## `{below}`\n")
                parts += [
                    f"\n{found.get('description', '')}\n\n",
                    *_table(below, found, whole, page.name, pages, canonical),
                ]
    return "".join(parts)


def _at(whole: Schema, path: str) -> Schema:
    """The schema of the object at a key path."""
    found = whole
    for key in re.findall(r"[^.\[\]]+", path):
        found = _item(found["properties"][key], whole)[0]
    return found


def _objects(path: str, found: Schema, whole: Schema, canonical: Mapping[str, str]) -> Iterator[tuple[str, Schema]]:
    """An object and all objects below it, by key path. What is described elsewhere is left out."""
    yield path, found
    for key, entry in found.get("properties", {}).items():
        below, suffix = _item(entry, whole)
        target = f"{path}.{key}{suffix}".lstrip(".")
        if "properties" in below and canonical.get(_reference(entry), target) == target:
            yield from _objects(target, below, whole, canonical)


def _first_paths(path: str, found: Schema, whole: Schema) -> Iterator[tuple[str, str]]:
    """The key path at which each object that has a name of its own in the schema stands first."""
    seen: set[str] = set()
    left = [(path, found)]
    while left:
        here, current = left.pop(0)
        for key, entry in current.get("properties", {}).items():
            below, suffix = _item(entry, whole)
            name = _reference(entry)
            if name and name not in seen and "properties" in below:
                seen.add(name)
                target = f"{here}.{key}{suffix}".lstrip(".")
                yield name, target
                left.append((target, below))


def _reference(entry: Schema) -> str:
    """The name in the schema of the object that a value, or each item of it, is; empty for none."""
    if "$ref" in entry:
        return str(entry["$ref"])
    parts = [*entry.get("anyOf", ()), *(entry[key] for key in ("items", "additionalProperties") if key in entry)]
    return next((name for part in parts if isinstance(part, dict) and (name := _reference(part))), "")


def _table(
    path: str, found: Schema, whole: Schema, here: str, pages: tuple[Page, ...], canonical: Mapping[str, str]
) -> Iterator[str]:
    """The keys of an object as a table."""
    required = found.get("required", ())
    yield "| key | value | meaning |\n|---|---|---|\n"
    for key, entry in found["properties"].items():
        below, suffix = _item(entry, whole)
        name = f"`{key}`"
        if "properties" in below:
            target = f"{path}.{key}{suffix}".lstrip(".")
            target = canonical.get(_reference(entry), target)
            home = _home(target, pages)
            name = f"[{name}]({'' if home == here else home}#{_anchor(target)})"
        kind = _kind(below)
        if suffix and "properties" in below:
            kind = "objects by name" if suffix.endswith(".*") else f"list of {kind}s"
        elif suffix:
            kind = f"list of {kind}"
        kind += ", required" if key in required else ""
        yield f"| {name} | {cell(kind)} | {cell(entry.get('description', ''))} |\n"


def _home(path: str, pages: tuple[Page, ...]) -> str:
    """The page about an object: that of the longest key path that leads to it."""
    found = [(len(each), page.name) for page in pages for each in page.objects if f"{path}.".startswith(each)]
    return max(found)[1]


def _anchor(path: str) -> str:
    return re.sub(r"[^\w\- ]", "", path.lower())


def _item(entry: Schema, whole: Schema) -> tuple[Schema, str]:
    """What says most about a value, or about each item of a list or map, and `[]` for a list, `.*` for a map."""
    found = _resolve(entry, whole)
    if found.get("type") == "array":
        below, suffix = _item(found["items"], whole)
        return below, f"[]{suffix}"
    if "$ref" in _map_of(found):
        return _resolve(_map_of(found), whole), ".*"
    return found, ""


def _resolve(entry: Schema, whole: Schema) -> Schema:
    """References followed, `null` and short forms left out."""
    if "$ref" in entry:
        return _resolve(whole["$defs"][entry["$ref"].rpartition("/")[2]], whole)
    options = [_resolve(option, whole) for option in entry.get("anyOf", ()) if option.get("type") != "null"]
    objects = [option for option in options if "properties" in option or "$ref" in _map_of(option)]
    return (objects or options or [entry])[0]


def _map_of(entry: Schema) -> Schema:
    """What a map holds; nothing for what is no map."""
    inner = entry.get("additionalProperties")
    return inner if isinstance(inner, dict) else {}


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
