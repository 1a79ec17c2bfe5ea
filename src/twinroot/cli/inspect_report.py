"""The screen of `twinroot inspect`: an inspection as lines for a terminal of a given width. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from twinroot.cli.disk_bar import Segment, draw
from twinroot.cli.drawing import HUES, Characters, Column, Line, Span, clean, table
from twinroot.formats.zstd_reader import LARGEST_WINDOW_LOG
from twinroot.output.inspection import Inspection, PartitionFacts
from twinroot.units import human

_KEY = 15
_WIDE = 96
# Free space below this part of the disk is not drawn.
_DRAWN_GAP = 0.004


def report(found: Inspection, width: int, chars: Characters, *, packages: bool = False) -> list[Line]:
    """All the lines: title, bar, tables, facts, notes, and with `packages` the list of them."""
    lines = [_title(found, chars), []]
    bar = draw(segments(found, chars), width, chars)
    lines += [*bar, []] if bar else []
    if found.partitions:
        lines += [*_partitions(found, width, chars), [], *_identifiers(found, width, chars), []]
    lines += list(_facts(found, width, chars))
    for note in found.notes:
        lines += [[], *_wrapped("note", clean(note, chars), width, "yellow")]
    if packages and found.os and found.os.packages:
        lines += [[], *_packages(found, width, chars)]
    return lines


def segments(found: Inspection, chars: Characters) -> list[Segment]:
    """What the bar shows: partitions and free space by their places; nothing without a partition table."""
    if not found.disk:
        return []
    placed = sorted((p for p in found.partitions if p.start is not None), key=lambda p: p.start or 0)
    boxes = [(p.start or 0, _segment(p, chars)) for p in placed]
    for gap in found.disk.gaps:
        if gap.size >= found.disk.size * _DRAWN_GAP:
            boxes.append((gap.start, Segment(gap.size, ("free", short(gap.size)), free=True)))
    return [segment for _, segment in sorted(boxes, key=lambda box: box[0])]


def _segment(p: PartitionFacts, chars: Characters) -> Segment:
    kind = (p.type_name or "").split(" ")[0]
    name = p.label or p.fs_label or ("" if kind == "linux-generic" else kind)
    rows = (f"{p.number} {clean(name, chars)}".rstrip(), clean(_content(p), chars), short(p.size))
    return Segment(p.size, rows, _hue(p), _used(p))


def _content(p: PartitionFacts) -> str:
    return p.mount_point or p.fs_type or ("data" if p.image and p.image.compressed * 100 > p.size else "empty")


def _used(p: PartitionFacts) -> float | None:
    """The part of a partition that is in use; for COSI files the part that the image covers."""
    if p.used is not None:
        return min(1.0, p.used / p.size)
    return min(1.0, p.image.uncompressed / p.size) if p.image and p.mount_point else None


def _hue(p: PartitionFacts) -> int:
    return ((p.number or 1) - 1) % len(HUES)


def short(size: int) -> str:
    """A size without needless zeros: `4 GiB`, `1.89 GiB`."""
    number, _, unit = human(size).partition(" ")
    return f"{number.rstrip('0').rstrip('.') if '.' in number else number} {unit}"


def _title(found: Inspection, chars: Characters) -> Line:
    dot = f" {chars.dot} "
    name = found.file.rsplit("/", 1)[-1]
    kind = f"COSI {found.cosi.version} file" if found.cosi else f"{found.format} disk image"
    sizes = [f"disk of {short(found.disk.size)}"] if found.disk else []
    if found.cosi:
        sizes += [f"{short(found.cosi.uncompressed)} of images in {short(found.file_size)}"]
    else:
        sizes += [f"{short(found.allocated)} on this host"]
    return [Span(clean(name, chars), "bold"), Span(dot + dot.join((kind, *sizes)))]


def _partitions(found: Inspection, width: int, chars: Characters) -> list[Line]:
    columns = (
        Column("#", right=True), Column("label", least=5), Column("type", least=6), Column("fs", least=4),
        Column("mount point", least=11), Column("start", right=True), Column("size", right=True),
        Column("used", right=True), Column("image", right=True), Column("stored", right=True),
    )  # fmt: skip
    rows = []
    # The bar shows the order; a narrow screen has room for either the places or what a COSI file adds.
    show_start = not found.cosi or width >= _WIDE
    for p in found.partitions:
        texts = (
            str(p.number or ""), p.label, p.type_name or str(p.type_uuid), p.fs_type or "", p.mount_point or "",
            short(p.start) if show_start and p.start is not None else "", short(p.size),
            short(p.used) if p.used is not None else "",
            short(p.image.uncompressed) if p.image else "", short(p.image.compressed) if p.image else "",
        )  # fmt: skip
        cells = [Span(clean(text, chars)) for text in texts]
        rows.append([Span(cells[0].text, f"bold hue{_hue(p)}"), *cells[1:]])
    return table(columns, rows, width, chars)


def _identifiers(found: Inspection, width: int, chars: Characters) -> list[Line]:
    columns = (Column("#", right=True), Column("PARTUUID"), Column("filesystem UUID"), Column("label", least=6))
    rows = []
    for p in found.partitions:
        label = p.fs_label if width >= _WIDE else None
        texts = (str(p.uuid or ""), p.fs_uuid or "", label or "")
        number = Span(str(p.number or ""), f"bold hue{_hue(p)}")
        rows.append([number, *(Span(clean(text, chars)) for text in texts)])
    return table(columns, rows, width, chars)


def _facts(found: Inspection, width: int, chars: Characters) -> Iterator[Line]:
    for key, value in _pairs(found):
        yield from _wrapped(key, clean(value, chars), width)


def _pairs(found: Inspection) -> Iterator[tuple[str, str]]:
    system, boot, cosi = found.os, found.boot, found.cosi
    if system:
        name = system.name or "unnamed (no os-release)"
        known = ", ".join(filter(None, (f"{system.id} {system.version}".strip(), system.architecture)))
        yield "system", f"{name} [{known}]" if known else name
    if system and system.packages is not None:
        kinds = {"rpm": "RPM packages", "deb": "Debian packages"}
        yield "packages", f"{len(system.packages)} {kinds.get(system.package_format or '', 'packages')}"
    if boot and (boot.loader or boot.kernels):
        yield "boot loader", boot.loader or "not found"
    if boot and boot.kernels:
        yield "kernel", ", ".join(boot.kernels)
    if boot and boot.ukis:
        yield "unified kernel", ", ".join(boot.ukis)
    if boot and boot.command_line:
        yield "command line", boot.command_line
    if found.disk:
        yield "disk id", str(found.disk.uuid)
    if found.image_id:
        yield "image id", found.image_id
    if cosi:
        if cosi.max_window_log is not None:
            yield "zstd window", _window(cosi.max_window_log)
        yield "metadata sha384", cosi.metadata_sha384
    for p in found.partitions:
        if p.roothash:
            yield "root hash", f"{p.roothash} ({p.mount_point})"


def _wrapped(key: str, value: str, width: int, style: str = "") -> list[Line]:
    """A fact as lines, its value indented behind the key."""
    room = max(width - _KEY - 2, 20)
    parts = textwrap.wrap(value, room, break_on_hyphens=False) or [""]
    return [[Span((key if i == 0 else "").ljust(_KEY + 2), "dim"), Span(part, style)] for i, part in enumerate(parts)]


def _packages(found: Inspection, width: int, chars: Characters) -> list[Line]:
    columns = (Column("package", least=12), Column("version", least=10), Column("release", least=6), Column("arch"))
    rows = [
        [Span(clean(text, chars)) for text in (p.name, p.version, p.release, p.arch)]
        for p in (found.os.packages if found.os and found.os.packages else ())
    ]
    return table(columns, rows, width, chars)


def _window(log: int) -> str:
    """Any number may be there: the power of a large one would take all memory."""
    if log > LARGEST_WINDOW_LOG:
        return f"2^{log}, which zstd cannot do"
    return f"2^{log} ({short(1 << log)})" if log else "0, the default of zstd"
