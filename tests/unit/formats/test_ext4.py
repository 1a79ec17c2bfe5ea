"""The parts of ext4 as bytes: checksums, attributes, extents."""

from __future__ import annotations

import random
import struct

import pytest

from twinroot.formats.ext4 import BLOCK
from twinroot.formats.ext4.attributes import TooLargeError, pack_attributes
from twinroot.formats.ext4.checksum import INITIAL, crc32c, crc32c_columns
from twinroot.formats.ext4.directory import directory_blocks
from twinroot.formats.ext4.inode import MAX_EXTENT, Extent, ExtentList, extents_content


def test_the_checksum_is_crc32c() -> None:
    # RFC 3720, B.4, where the result is inverted.
    assert crc32c(bytes(32)) ^ INITIAL == 0x8A9136AA
    assert crc32c(bytes(range(32))) ^ INITIAL == 0x46DD794E
    assert crc32c(b"6789", crc32c(b"12345")) == crc32c(b"123456789")


@pytest.mark.parametrize("rows", [1, 2, 255, 1000])
def test_columns_give_what_rows_give(rows: int) -> None:
    source = random.Random(rows)
    data = [source.randbytes(40) for _ in range(rows)]
    states = [source.getrandbits(32) for _ in range(rows)]
    joined = b"".join(data)
    found = crc32c_columns((joined[place::40] for place in range(40)), states)
    assert found == [crc32c(row, state) for row, state in zip(data, states, strict=True)]


def test_attributes_go_where_there_is_room() -> None:
    assert pack_attributes({}) == (b"", b"")
    body, block = pack_attributes({"security.selinux": b"x" * 30})
    assert len(body) == 96 and not block
    body, block = pack_attributes({"security.selinux": b"x" * 300})
    assert len(block) == BLOCK and not body
    with pytest.raises(TooLargeError):
        pack_attributes({"user.large": bytes(4096)})
    with pytest.raises(KeyError):
        pack_attributes({"btrfs.compression": b"zstd"})


def test_runs_become_extents() -> None:
    made = ExtentList()
    made.add(0, 100, 5)
    made.add(5, 105, MAX_EXTENT)
    made.add(5 + MAX_EXTENT, 9, 1)
    assert made.extents == [Extent(0, 100, MAX_EXTENT), Extent(MAX_EXTENT, 100 + MAX_EXTENT, 5), Extent(32773, 9, 1)]


@pytest.mark.parametrize(("count", "nodes", "depth"), [(4, 0, 0), (5, 1, 1), (340, 1, 1), (341, 2, 1), (1361, 6, 2)])
def test_extent_trees(count: int, nodes: int, depth: int) -> None:
    taken: list[int] = []

    def take() -> int:
        taken.append(5000 + len(taken))
        return taken[-1]

    content = extents_content([Extent(2 * n, 10 * n, 1) for n in range(count)], 1, take, lambda _block, _data: None)
    assert len(taken) == nodes
    assert content.blocks == count + nodes
    assert struct.unpack_from("<HHHH", content.field)[3] == depth


def test_directories_are_cut_into_blocks() -> None:
    entries = [(b"%0255d" % index, index + 20, 0o100644) for index in range(40)]
    blocks = directory_blocks(entries, 12, 2)
    assert [len(block) for block in blocks] == [BLOCK] * 3
    assert blocks[0][8:9] == b"."
    for block in blocks:
        at = 0
        while at < BLOCK:
            at += struct.unpack_from("<H", block, at + 4)[0]
        assert at == BLOCK
