"""How much data fits into a partition that also holds the hashes of the data. Pure arithmetic, in bytes."""

from __future__ import annotations

from bisect import bisect_right

from twinroot.units import MIB

BLOCK = 4096
_HASHES_PER_BLOCK = BLOCK // 32  # SHA-256


def hash_blocks(data_blocks: int) -> int:
    """Blocks of a hash tree with its superblock (cryptsetup's on-disk format for dm-verity)."""
    count, level = 1, data_blocks
    while level > 1:
        level = -(-level // _HASHES_PER_BLOCK)
        count += level
    return count


def inline_data_size(partition_size: int) -> int:
    """The largest size of data, in whole MiB, that fits with its hashes; 0 when none does."""
    sizes = range(0, partition_size + 1, MIB)
    return sizes[bisect_right(sizes, partition_size, key=lambda size: size + hash_blocks(size // BLOCK) * BLOCK) - 1]
