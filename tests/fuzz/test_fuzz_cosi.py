"""COSI files: whatever the bytes, readers give images that are whole, or a FormatError; the check never raises."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.fuzz.mutations import CHANGES, EDGES, Change, cases, changed, numbers, reading
from tests.memory import little_memory
from tests.unit.formats.cosi_samples import contents, plan

from twinroot.agent.stream import write_image
from twinroot.errors import FormatError
from twinroot.formats.cosi import metadata as documents
from twinroot.formats.cosi import tar
from twinroot.formats.cosi.check import verify
from twinroot.formats.cosi.reader import CosiFile, read_cosi
from twinroot.formats.cosi.writer import write_cosi
from twinroot.units import KIB, MIB

_REGION = 64 * KIB  # of every partition of the sample


@cache
def sample() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        write_cosi(Path(folder) / "a.cosi", plan())
        return (Path(folder) / "a.cosi").read_bytes()


@cache
def document() -> tuple[tar.Member, bytes]:
    member = next(each for each in tar.walk(reading(sample())) if each.name == "metadata.json")
    return member, sample()[member.data : member.data + member.size]


@contextmanager
def target() -> Iterator[Path]:
    """A file in memory, of the size of a partition."""
    fd = os.memfd_create("target")
    try:
        os.truncate(fd, _REGION)
        yield Path(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)


def all_read(cosi: CosiFile) -> None:
    """Every image is brought onto a target, and is right if that succeeds."""
    whole = {plan().gpt, *contents().values()}
    for image in cosi.metadata.image_files().values():
        with target() as path, suppress(FormatError):
            write_image(cosi, image, path)
            assert path.read_bytes()[: image.uncompressed_size] in whole


def hostile(data: bytes) -> bool:
    """Both ways of reading a file; whether the check finds it right."""
    with little_memory(4 * MIB):
        with suppress(FormatError):
            all_read(read_cosi(reading(data), "test.cosi"))
        report = verify(reading(data), threads=1)
    assert report.ok or report.errors
    return report.ok


def hostile_headers(data: bytes) -> None:
    """Members and metadata of a file, and the compressed images; decoding them takes too long for many cases."""
    with little_memory(4 * MIB), suppress(FormatError):
        cosi = read_cosi(reading(data), "test.cosi")
        for image in cosi.metadata.image_files().values():
            with suppress(FormatError):
                found = b"".join(cosi.open_image(image))
                assert found in sample()


@cases(1200)
@given(CHANGES)
def test_damaged_files(changes: list[Change]) -> None:
    data = changed(sample(), changes)
    hostile(data)
    if len(data) == len(sample()) and data != sample():
        assert not verify(reading(data), threads=1).ok


@cases(300)
@given(st.binary(max_size=1500), st.integers(0, 40))
def test_raw_bytes(raw: bytes, block: int) -> None:
    assert not hostile(raw)
    mixed = sample()[: block * 512] + raw
    assert not hostile(mixed) or mixed.startswith(sample().rstrip(b"\0"))


TAR_FIELDS = {"name": (0, 100), "size": (124, 12), "type": (156, 1), "magic": (257, 8), "prefix": (345, 155)}
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(sorted(TAR_FIELDS)),
        st.one_of(st.binary(max_size=12), st.sampled_from([b"x", b"g", b"L", b"K", b"\0", b"5", b"./", b"/"]),
            numbers(64).map(lambda size: b"%o" % size),
            numbers(63).map(lambda size: b"\x80" + size.to_bytes(11, "big"))),
    ),
    max_size=3,
)  # fmt: skip
PAX = st.lists(
    st.tuples(st.sampled_from([b"path", b"size", b"other"]), st.one_of(st.binary(max_size=8),
        numbers(64).map(lambda size: b"%d" % size)), st.integers(-2, 2)),
    max_size=2,
)  # fmt: skip


def with_checksum(block: bytearray) -> bytes:
    block[148:156] = b"%06o\0 " % (sum(block) - sum(block[148:156]) + 256)
    return bytes(block)


@cases(2500)
@given(HEADERS, st.integers(0, 6), PAX, st.sampled_from([b"x", b"g", b"L", b"K"]))
def test_hostile_headers(
    fields: list[tuple[str, bytes]], number: int, records: list[tuple[bytes, bytes, int]], kind: bytes
) -> None:
    members = list(tar.walk(reading(sample())))
    at = members[number % len(members)].header
    block = bytearray(sample()[at : at + 512])
    for name, value in fields:
        start, length = TAR_FIELDS[name]
        block[start : start + min(length, len(value))] = value[:length]
    extended = b""
    if records:
        text = b""
        for key, value, wrong in records:
            record = b" " + key + b"=" + value + b"\n"
            text += b"%d" % (len(record) + 2 + wrong) + record
        head = bytearray(tar.header("pax", len(text)))
        head[156:157] = kind
        extended = with_checksum(head) + text.ljust(512, b"\0")
    hostile_headers(sample()[:at] + extended + with_checksum(block) + sample()[at + 512 :])


SCALARS = st.one_of(
    st.none(), st.booleans(), st.text(max_size=6), st.sampled_from(EDGES), st.integers(-5, 5), st.floats(),
    st.sampled_from(["1.2", "1.3", "2.0", "\ud800", "ext4", "esp", "images/", "0" * 96, "\0", "9" * 20]),
)  # fmt: skip
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=2), st.dictionaries(st.text(max_size=3), SCALARS, max_size=2))


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all values below a node."""
    found = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in found:
        yield (*path, key)
        yield from places(value, (*path, key))


def edited(root: Any, edits: list[tuple[int, str, Any]]) -> Any:
    for number, how, value in edits:
        paths = list(places(root))
        if not paths:
            return root
        *way, key = paths[number % len(paths)]
        node = root
        for step in way:
            node = node[step]
        if how == "set":
            node[key] = value
        elif how == "delete":
            del node[key]
        elif isinstance(node, list):
            node.append(node[key])
        else:
            node[f"{key}2"] = node[key]
    return root


EDITS = st.lists(
    st.tuples(st.integers(0, 500), st.sampled_from(["set", "set", "delete", "double"]), VALUES), min_size=1, max_size=4
)


@cases(2500)
@given(EDITS, CHANGES, st.booleans())
def test_hostile_documents(edits: list[tuple[int, str, Any]], changes: list[Change], whole: bool) -> None:
    member, text = document()
    edited_text = json.dumps(edited(json.loads(text), edits)).encode()
    damaged = changed(edited_text, changes)
    with little_memory(4 * MIB):
        for strict in (False, True):
            inspection = documents.inspect(damaged, strict=strict)
            assert inspection.ok or inspection.findings
            documents.integrity_problem(damaged, required=strict)
        with suppress(FormatError):
            documents.to_json(documents.parse(damaged))
    if whole:  # a document that may be right, in the file whose images it speaks of
        block = tar.header("metadata.json", len(edited_text))
        padded = edited_text.ljust(-(-len(edited_text) // 512) * 512, b"\0")
        rest = sample()[member.end :]
        hostile_headers(sample()[: member.header] + block + padded + rest)
