"""The screen of `twinroot diff`: differences as lines for a terminal of a given width. Pure.

+  only in the second image
-  only in the first
~  in both, but not the same
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from twinroot.cli.drawing import Characters, Column, Line, Span, clean, shorten, table
from twinroot.output.contents import ByteDifference
from twinroot.output.difference import Field, FileDifference, ImageDifference, PackageDifference, PartitionDifference
from twinroot.units import exact, human

_MARKS = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow")}


def report(found: ImageDifference, width: int, chars: Characters, *, limit: int | None = None) -> list[Line]:
    """All the lines. `limit` cuts every list, and says how much was left out; None shows everything."""
    lines: list[Line] = [[Span("-  ", "red"), Span(clean(found.before, chars), "bold")]]
    lines.append([Span("+  ", "green"), Span(clean(found.after, chars), "bold")])
    if found.disk:
        lines += [[], _heading("disk"), *_fields(found.disk, width, chars)]
    if found.boot:
        lines += [[], _heading("boot"), *(line for field in found.boot for line in _long(field, width, chars))]
    if found.packages:
        lines += [[], _heading("packages"), *_cut(_packages(found.packages, width, chars), limit)]
    if found.metadata:
        metadata = [line for field in found.metadata for line in _long(field, width, chars)]
        lines += [[], _heading("metadata"), *_cut(metadata, limit)]
    for partition in found.partitions:
        lines += [[], *_partition(partition, width, chars, limit)]
    for note in found.notes:
        lines += [[], [Span("note  ", "yellow"), Span(clean(note, chars))]]
    return [*lines, [], _verdict(found)]


def _heading(text: str) -> Line:
    return [Span(text, "bold")]


def _cut(lines: list[Line], limit: int | None) -> list[Line]:
    if limit is None or len(lines) <= limit:
        return lines
    return [*lines[:limit], [Span(f"   and {len(lines) - limit} more; --all shows them", "dim")]]


def _packages(packages: Sequence[PackageDifference], width: int, chars: Characters) -> list[Line]:
    columns = (Column(""), Column("package", least=12), Column("before", least=12), Column("after", least=12))
    rows = []
    for p in packages:
        change = "added" if p.before is None else "removed" if p.after is None else "changed"
        mark, style = _MARKS[change]
        texts = (p.name, p.before or "", p.after or "")
        rows.append([Span(mark, style), *(Span(clean(text, chars)) for text in texts)])
    return table(columns, rows, width, chars)


def _partition(found: PartitionDifference, width: int, chars: Characters, limit: int | None) -> list[Line]:
    mark, style = _MARKS[found.change]
    name = clean(found.name, chars)
    lines: list[Line] = [[Span(f"partition {found.number}  {name}", "bold"), Span(f"  {mark} {found.change}", style)]]
    lines += _fields(found.fields, width, chars)
    if found.at:
        lines.append([Span("   bytes  ", "dim"), Span(byte_text(found.at))])
    return [*lines, *_cut([_file(file, width, chars) for file in collapsed(found.files)], limit)]


def collapsed(files: Iterable[FileDifference]) -> list[FileDifference]:
    """Without what lies below a directory that was added or removed as a whole, which says enough."""
    shown: list[FileDifference] = []
    above: FileDifference | None = None
    for file in files:
        inside = above and file.change == above.change and file.path.startswith(above.path.rstrip("/") + "/")
        if inside:
            continue
        above = file if file.kind == "directory" and file.change != "changed" else None
        shown.append(file)
    return shown


def _file(file: FileDifference, width: int, chars: Characters) -> Line:
    mark, style = _MARKS[file.change]
    path = clean(file.path, chars) + ("/" if file.kind == "directory" and file.path != "/" else "")
    if file.change == "changed":
        details = [_change(field, chars) for field in file.fields]
        details += [f"content at {byte_text(file.at)}"] if file.at and (file.at.before or file.at.after) else []
    else:
        values = {f.name: f.after if f.before is None else f.before for f in file.fields}
        details = [str(values[name]) for name in ("mode", "owner") if values.get(name) is not None]
        details += [human(size)] if isinstance(size := values.get("size"), int) else []
        details += [f"to {clean(str(values['target']), chars)}"] if values.get("target") is not None else []
    room = max(width - 3 - len(path) - 2, 24)
    text = shorten(", ".join(details), room, chars)
    return [Span(mark, style), Span("  "), Span(path), Span("  "), Span(text, "dim")]


def _change(field: Field, chars: Characters) -> str:
    return f"{field.name} {_value(field.before, chars)} to {_value(field.after, chars)}"


def byte_text(at: ByteDifference) -> str:
    """`byte 1234: 00ff… to 01ff…`."""
    return f"byte {at.offset}: {at.before.hex() or 'end'} to {at.after.hex() or 'end'}"


def first_place(found: ImageDifference) -> str | None:
    """Where images differ first, in words: partition, file, bytes; None when nothing in them does."""
    for partition in found.partitions:
        where = f"partition {partition.number} ({partition.name})"
        for file in partition.files:
            at = f", {byte_text(file.at)}" if file.at else f" ({', '.join(f.name for f in file.fields)})"
            return f"{where}, {file.change} {file.kind} {file.path!r}{at}"
        names = ", ".join(field.name for field in partition.fields)
        return f"{where}, {names or 'outside of its files'}" + (f", {byte_text(partition.at)}" if partition.at else "")
    for what, fields in (("the disk", found.disk), ("the metadata", found.metadata)):
        if fields:
            return f"{what}: " + ", ".join(field.name for field in fields)
    return None


def _fields(fields: Iterable[Field], width: int, chars: Characters) -> list[Line]:
    columns = (Column(""), Column("property"), Column("before", least=20), Column("after", least=20))
    rows = [
        [Span(""), Span(f.name, "dim"), *(Span(_measure(f.name, v, chars)) for v in (f.before, f.after))]
        for f in fields
    ]  # fmt: skip
    return [[Span("   "), *line] for line in table(columns, rows, width - 3, chars)]


def _measure(name: str, value: str | int | None, chars: Characters) -> str:
    """A value of a disk or partition: places and sizes with their unit."""
    return exact(value) if isinstance(value, int) and name in ("size", "start") else _value(value, chars)


def _long(field: Field, width: int, chars: Characters) -> list[Line]:
    """A property whose values are long: one below the other, whole."""
    lines: list[Line] = [[Span("   "), Span(clean(field.name, chars), "dim")]]
    for mark, style, value in (("-", "red", field.before), ("+", "green", field.after)):
        parts = textwrap.wrap(_value(value, chars), width - 6, break_on_hyphens=False) or [""]
        lines += [[Span(f"   {mark if i == 0 else ' '}  ", style), Span(part)] for i, part in enumerate(parts)]
    return lines


def _value(value: str | int | None, chars: Characters) -> str:
    return "none" if value is None else clean(str(value), chars)


def _verdict(found: ImageDifference) -> Line:
    if found.equal:
        return [Span("equal", "bold green")]
    files = [file for partition in found.partitions for file in partition.files]
    counts = [(len(found.packages), "package"), (len(found.partitions), "partition")]
    words = [_count(number, noun) for number, noun in counts if number]
    kinds = [(sum(file.change == change for file in files), change) for change in _MARKS]
    if files:
        words.append("files: " + ", ".join(f"{number} {change}" for number, change in kinds if number))
    return [Span("different", "bold red"), Span(f": {', '.join(words)}" if words else "")]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
