"""What outputs are made of: the partitions of a planned disk, each with its content."""

from __future__ import annotations

from dataclasses import dataclass

from twinroot.formats.source import FileRegion
from twinroot.plan.disk import PlannedPartition


@dataclass(frozen=True)
class PartitionContent:
    """A planned partition and where its bytes are; `source` is as long as the partition, holes are zeros."""

    partition: PlannedPartition
    source: FileRegion
