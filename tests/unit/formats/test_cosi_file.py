"""COSI files: layout, round trip, what the checker finds."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import random
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import zstandard
from tests.unit.formats.cosi_samples import IMAGE_ID, contents, plan
from tests.unit.formats.small_file import NAMES, opened, reading, repacked, report, rewritten, rules, written

from twinroot.errors import FormatError
from twinroot.formats.cosi import metadata as documents
from twinroot.formats.cosi import tar
from twinroot.formats.cosi.check import verify_cosi
from twinroot.formats.cosi.layout import read_table
from twinroot.formats.cosi.metadata import MetadataError
from twinroot.formats.cosi.reader import open_cosi
from twinroot.formats.cosi.writer import write_cosi
from twinroot.units import GIB

__all__ = ["written"]
SCHEMA = json.loads((Path(__file__).parent / "samples" / "cosi-metadata-v1.2.schema.json").read_text())


def test_layout(written: bytes) -> None:
    assert written[:11] == b"cosi-marker"
    assert written[-1024:] == bytes(1024)
    with tarfile.open(fileobj=io.BytesIO(written)) as archive:
        members = archive.getmembers()
    assert [member.name for member in members] == NAMES
    for member in members:
        assert (member.mode, member.uid, member.gid, member.mtime, member.isreg()) == (0o400, 0, 0, 0, True)
    end = members[-1].offset_data + members[-1].size
    assert len(written) == end + -end % 512 + 1024
    for member in members[2:]:
        start = written[member.offset_data : member.offset_data + 24]
        assert start == bytes.fromhex("502a4d1810000000") + IMAGE_ID.bytes


def test_metadata(written: bytes, tmp_path: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(written)) as archive:
        text = archive.extractfile("metadata.json").read()  # type: ignore[union-attr]
    loaded = json.loads(text)
    jsonschema.validate(loaded, SCHEMA, jsonschema.Draft202012Validator)
    assert text.startswith(b'{\n  "version": "1.2",\n')
    assert loaded["osRelease"] == 'ID=test\nNAME="Tést"\n'
    assert [(region["type"], region.get("number")) for region in loaded["disk"]["gptRegions"]] == [
        ("primary-gpt", None),
        ("partition", 1),
        ("partition", 3),
        ("partition", 2),
        ("partition", 4),
    ]
    assert loaded["disk"]["gptRegions"][0]["image"]["uncompressedSize"] == 17408
    assert loaded["images"][1]["verity"]["image"]["path"] == "images/small_3.raw.zst"
    assert [package["arch"] for package in loaded["osPackages"]] == ["x86_64", "(none)"]
    assert write_cosi(tmp_path / "again.cosi", plan()) == opened(written).metadata
    assert (tmp_path / "again.cosi").read_bytes() == written


def test_every_image_comes_back(written: bytes) -> None:
    cosi = opened(written)
    assert list(cosi.members) == NAMES
    for region in cosi.metadata.partition_regions():
        assert region.number is not None
        assert cosi.read(region.image) == contents()[region.number]
        assert b"".join(cosi.open_image(region.image))[:4] == bytes.fromhex("502a4d18")
    table_image = cosi.metadata.gpt_region()
    assert table_image is not None
    assert cosi.read(table_image.image) == plan().gpt
    zeros = cosi.metadata.partition_regions()[-1]
    assert [piece.data for piece in cosi.decompress(zeros.image)] == [None]
    text = written[cosi.members["metadata.json"].data :][: cosi.members["metadata.json"].size]
    assert cosi.metadata_sha384 == hashlib.sha384(text).hexdigest()


def test_a_good_file_has_no_findings(written: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file.cosi"
    path.write_bytes(written)
    seen: list[int] = []
    assert verify_cosi(path, progress=seen.append).findings == ()
    assert 0 < seen[-1] <= len(written)
    assert report(written + b"conectix" + b"x" * 504).findings == ()
    with open_cosi(path) as cosi:
        assert cosi.metadata.id == IMAGE_ID


def test_every_flipped_byte_is_an_error(written: bytes) -> None:
    stride = 5
    for position in range(random.randrange(stride), len(written), stride):
        broken = bytearray(written)
        broken[position] ^= random.choice((0x01, 0x10, 0x20, 0x80, 0xFF))
        assert not report(bytes(broken)).ok, position


def test_flips_where_they_are_hardest_to_see(written: bytes) -> None:
    """All bits of the header of the metadata, of the field's name and of the padding around it."""
    start = written.index(b'"integrity"') - 8
    for position in [*range(512, 1024), *range(start, start + 160)]:
        for bit in (0x01, 0x20):
            broken = bytearray(written)
            broken[position] ^= bit
            assert not report(bytes(broken)).ok, position


def test_truncation_anywhere_is_an_error(written: bytes) -> None:
    for length in [*range(0, len(written), 97), *range(len(written) - 1030, len(written), 5)]:
        assert not report(written[:length]).ok, length


def test_members_moved_renamed_doubled_removed(written: bytes) -> None:
    assert report(repacked(written, lambda members: None)).findings == ()
    for index, name in enumerate(NAMES):

        def renamed(members: list[tuple[str, bytes]], at: int = index) -> None:
            members[at] = (members[at][0] + "x", members[at][1])

        def doubled(members: list[tuple[str, bytes]], at: int = index) -> None:
            members.append(members[at])

        def moved(members: list[tuple[str, bytes]], at: int = index) -> None:
            members.insert((at + 1) % len(members), members.pop(at))

        def removed(members: list[tuple[str, bytes]], at: int = index) -> None:
            del members[at]

        for change in (renamed, moved, removed):
            assert rules(repacked(written, change)), (name, change)
        assert rules(repacked(written, doubled)) == {"T6"} | ({"T12"} if index > 1 else set())


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda m: m.pop(0), {"T7", "T8", "T9", "T10"}),
        (lambda m: m.__setitem__(0, ("cosi-marker", b"x")), {"T7"}),
        (lambda m: m.__setitem__(2, ("./" + m[2][0], m[2][1])), {"T5"}),
        (lambda m: m.insert(3, m.pop(2)), {"T10", "T12"}),
        (lambda m: m.insert(3, m.pop(4)), {"T12"}),
        (lambda m: m.append(("more", b"")), set()),
        (lambda m: m.insert(2, ("more", b"")), {"T10"}),
        (lambda m: m.pop(3), {"W1"}),
        (lambda m: m.__setitem__(3, (m[3][0], m[3][1] + b"x")), {"3.4", "C4"}),
        (lambda m: m.__setitem__(3, (m[3][0], m[3][1][:-1] + b"x")), {"C4"}),
    ],
)
def test_rules_of_the_archive(written: bytes, change: Callable[..., Any], expected: set[str]) -> None:
    assert rules(repacked(written, change)) == expected


def test_extended_headers_of_other_writers(written: bytes) -> None:
    with tarfile.open(fileobj=io.BytesIO(written)) as archive:
        members = [(info.name, archive.extractfile(info).read()) for info in archive]  # type: ignore[union-attr]
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=form) as archive:
            for name, content in members:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                if form == tarfile.PAX_FORMAT and name != "cosi-marker":
                    info.pax_headers = {"comment": "x" * 700, "size": str(len(content)), "path": name}
                archive.addfile(info, io.BytesIO(content))
            if form == tarfile.GNU_FORMAT:
                archive.addfile(tarfile.TarInfo("y" * 300))
        assert report(out.getvalue()).errors == ()
        assert list(opened(out.getvalue()).members)[:7] == NAMES


def test_pax_header_before_the_marker(written: bytes) -> None:
    info = tarfile.TarInfo("cosi-marker")
    info.pax_headers = {"comment": "x"}
    assert rules(info.tobuf(tarfile.PAX_FORMAT) + written[512:]) == {"T8"}


def every_image(document: dict[str, Any], path: str) -> list[dict[str, Any]]:
    filesystems = document["images"]
    images = [r["image"] for r in document["disk"]["gptRegions"]] + [f["image"] for f in filesystems]
    images += [f["verity"]["image"] for f in filesystems if f["verity"]]
    return [image for image in images if image["path"].endswith(path)]


def set_images(path: str, key: str, value: object) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        for image in every_image(document, path):
            image[key] = value

    return change


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda d: None, set()),
        (lambda d: d["compression"].__setitem__("maxWindowLog", 12), {"C3"}),
        (lambda d: d["compression"].__setitem__("maxWindowLog", 0), set()),
        (lambda d: d["compression"].__setitem__("maxWindowLog", 4_000_000_000), {"C3"}),
        (set_images("_1.raw.zst", "uncompressedSize", 8000), {"R4"}),
        (set_images("_1.raw.zst", "uncompressedSize", 9000), {"R4"}),
        # Longer than the partition, and so not even decompressed.
        (set_images("_1.raw.zst", "uncompressedSize", 65537), {"R5"}),
        (set_images("_3.raw.zst", "sha384", "0" * 96), {"C4"}),
        (set_images("_2.raw.zst", "compressedSize", 1), {"3.4"}),
        (lambda d: d["disk"].__setitem__("size", 65536), {"D5"}),
        (lambda d: d["disk"].__setitem__("lbaSize", 4096), {"D4"}),
        (lambda d: d["disk"]["gptRegions"].pop(), {"D6"}),
        (lambda d: d["disk"]["gptRegions"][4].__setitem__("number", 9), {"D6"}),
        (lambda d: d["disk"]["gptRegions"].insert(2, d["disk"]["gptRegions"].pop(3)), {"G5", "T12"}),
        (lambda d: d.__setitem__("version", "1.1"), {"M3", "T9", "T10"}),
    ],
)
def test_rules_of_contents(written: bytes, change: Callable[..., Any], expected: set[str]) -> None:
    assert rules(rewritten(written, change)) == expected


def with_table(data: bytes, edit: Callable[[bytearray], Any]) -> bytes:
    """The archive with another partition table, all sizes and hashes right."""
    table = bytearray(plan().gpt)
    edit(table)
    packed = zstandard.ZstdCompressor().compress(bytes(table))
    sha384 = hashlib.sha384(packed).hexdigest()

    def document_of(document: dict[str, Any]) -> None:
        (image,) = every_image(document, "_gpt.raw.zst")
        image |= {"sha384": sha384, "compressedSize": len(packed), "uncompressedSize": len(table)}

    changed_document = rewritten(data, document_of)
    return repacked(changed_document, lambda members: members.__setitem__(2, (members[2][0], packed)))


def test_rules_of_the_partition_table(written: bytes) -> None:
    assert rules(with_table(written, lambda table: None)) == set()
    assert rules(with_table(written, lambda table: table.extend(bytes(512)))) == {"P1"}
    assert rules(with_table(written, lambda table: table.__setitem__(600, 1))) == {"D5"}
    assert rules(with_table(written, lambda table: table.__setitem__(510, 0))) == {"P2"}
    assert rules(with_table(written, lambda table: table.__delitem__(slice(17000, None)))) == {"D5"}


def test_a_damaged_partition_table_names_its_file(written: bytes) -> None:
    cosi = opened(with_table(written, lambda table: table.__setitem__(600, 1)))
    with pytest.raises(FormatError) as caught:
        read_table(cosi)
    assert caught.value.where == "test.cosi"


def test_older_revisions_are_checked_too(written: bytes) -> None:
    def change(document: dict[str, Any]) -> None:
        document["version"] = "1.1"
        del document["disk"], document["compression"]

    def without_marker(members: list[tuple[str, bytes]]) -> None:
        del members[0]

    assert rules(repacked(rewritten(written, change), without_marker)) == set()
    assert rules(rewritten(written, change)) == {"T9"}


def test_what_is_no_cosi_file_at_all() -> None:
    for data in (b"", bytes(512), bytes(10240), os.urandom(3000), b"\x1f\x8b" + os.urandom(5000)):
        assert not report(data).ok
        with pytest.raises(FormatError):
            opened(data)


def test_reader_accepts_what_the_reference_reader_accepts(written: bytes) -> None:
    def shuffled(members: list[tuple[str, bytes]]) -> None:
        del members[0]
        members.reverse()
        members.insert(0, ("./README", b"hello"))

    cosi = opened(repacked(written, shuffled))
    assert next(iter(cosi.members)) == "README"
    assert cosi.read(cosi.metadata.images[1].image) == contents()[2]


def test_reader_notices_damage(written: bytes) -> None:
    cosi = opened(written)
    image = cosi.metadata.images[1].image
    broken = bytearray(written)
    broken[cosi.members[image.path].data + 10] ^= 1  # in the skippable frame, which no decoder looks at
    with pytest.raises(FormatError, match="SHA-384") as caught:
        opened(bytes(broken)).read(image)
    assert caught.value.where == "test.cosi"
    with pytest.raises(FormatError, match="more than"):
        cosi.read(dataclasses.replace(image, uncompressed_size=100))
    with pytest.raises(FormatError, match="no member"):
        cosi.read(dataclasses.replace(image, path="images/other"))
    with pytest.raises(FormatError, match="larger than"):
        cosi.read(image, most=100)
    text_at = written.index(b'"osArch"')
    with pytest.raises(MetadataError, match="osArch"):
        opened(written[:text_at] + b'"osarch"' + written[text_at + 8 :])
    for length in (len(written) - 1024, 1500, 700, 600, 100):
        with pytest.raises(FormatError, match="cut off") as caught:
            opened(written[:length])
        assert caught.value.hint == "it was not copied or downloaded completely: get it again"


def test_headers_of_large_members() -> None:
    for size in (0, 8 * GIB - 1, 8 * GIB, 12345 * GIB):
        block = tar.header("images/a", size)
        assert len(block) == 512
        assert tarfile.TarInfo.frombuf(block, "utf-8", "strict").size == size
        member = next(tar.walk(reading(block)))
        assert (member.name, member.size, member.tidy_checksum, member.extended) == ("images/a", size, True, False)
    with pytest.raises(FormatError, match="too long"):
        tar.header("images/" + "x" * 300, 0)
    long_name = "images/" + "x" * 80 + "/" + "y" * 90
    assert next(tar.walk(reading(tar.header(long_name, 5)))).name == long_name


@pytest.mark.parametrize("form", [b"%07o\0", b"%06o \0", b"%6o\0 ", b"%08o"])
def test_checksums_of_headers_in_other_forms(written: bytes, form: bytes) -> None:
    """POSIX asks for octal digits that end in a space or NUL. In our own files it is a byte that changed."""
    for owner, expected in (("", set()), ("twinroot", {"T2"})):
        data = bytearray(repacked(written, lambda members: None, owner))
        for member in list(tar.walk(reading(bytes(data)))):
            stored = slice(member.header + 148, member.header + 156)
            data[stored] = form % int(data[stored].strip(b"\0 "), 8)
        assert rules(bytes(data)) == expected


def test_damaged_headers_never_crash() -> None:
    block = bytearray(tar.header("images/a", 100))
    for start, end in ((124, 136), (148, 156), (156, 157)):
        for _ in range(200):
            broken = bytearray(block)
            broken[start:end] = os.urandom(end - start)
            if start != 148:
                broken[148:156] = b"%06o\0 " % (sum(broken) - sum(broken[148:156]) + 256)
            try:
                list(tar.walk(reading(bytes(broken) + bytes(2048))))
            except FormatError as error:
                assert error.message


def test_integrity_field_is_promised_by_the_header(written: bytes) -> None:
    (member,) = [member for member in tar.walk(reading(written)) if member.name == "metadata.json"]
    assert member.owner == documents.INTEGRITY_OWNER
    assert rules(written.replace(b'"integrity"', b'"integrita"')) == {"INTEGRITY"}
