"""`storage.disks`: disks and their partitions (host-config spec, sections 5.1 to 5.3)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Field, WithJsonSchema

from twinroot.config.host.scalars import DeviceId, DiskPath, PartitionSize, Text, Uuid, uuid
from twinroot.config.problems import Finding, did_you_mean, one_of, quoted
from twinroot.config.scalars import ScalarError, from_text
from twinroot.config.section import Section
from twinroot.units import partition_type_names

# Names that `type` may have (spec 5.2); they do not depend on the architecture, the UUIDs of some do.
TYPE_NAMES = (
    "esp", "root", "swap", "root-verity", "home", "var", "usr", "usr-verity", "tmp", "linux-generic", "srv", "xbootldr",
)  # fmt: skip
ACL_USR = "5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6"
"""The type of Azure Container Linux's `/usr` (cosi spec)."""


def partition_type(text: str) -> str:
    """The name of a partition type, or a type UUID in lower case."""
    if text in TYPE_NAMES:
        return text
    try:
        return uuid(text)
    except ScalarError:
        hint = did_you_mean(text, TYPE_NAMES) or f"use a type UUID, {one_of(sorted(TYPE_NAMES))}"
        raise ScalarError(f"{quoted(text)} is not a partition type", hint) from None


def type_name(partition_type: str) -> str:
    """The name of a type that may be written as a UUID; the UUID where it has none."""
    if partition_type in TYPE_NAMES:
        return partition_type
    for architecture in ("x86_64", "arm64"):
        for name, value in partition_type_names(architecture).items():
            if value == UUID(partition_type) and name in TYPE_NAMES:
                return name
    return partition_type


PartitionType = Annotated[
    str,
    from_text(partition_type),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": list(TYPE_NAMES)},
                {"type": "string", "pattern": "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4,12}){4}$"},
            ]
        }
    ),
]


class Partition(Section):
    """A partition to create."""

    always_written: ClassVar[frozenset[str]] = frozenset(("type", "uuid", "label"))

    id: DeviceId = Field(description="Name by which the configuration refers to it; unique.")
    type: PartitionType = Field(
        default="linux-generic",
        description="Name of a partition type or its UUID. The default is `linux-generic`; what depends on the "
        "architecture is that of the machine.",
    )
    size: PartitionSize = Field(
        description="Size in bytes or with `K`, `M`, `G`, `T`, a multiple of 4K; `grow` takes what is left of the disk."
    )
    uuid: Uuid | None = Field(default=None, description="UUID of the partition. The default is a random one.")
    label: Text | None = Field(default=None, description="Partition name in the GPT. The default is `id`.")


class AdoptedPartition(Section):
    """A partition that is on the disk already and is kept. Exactly one partition must match."""

    always_written: ClassVar[frozenset[str]] = frozenset(("match_label", "match_uuid"))

    id: DeviceId = Field(description="Name by which the configuration refers to it; unique.")
    match_label: Text | None = Field(default=None, description="Its partition name in the GPT.")
    match_uuid: Uuid | None = Field(default=None, description="Its UUID, instead of `matchLabel`.")

    def check(self) -> Iterator[Finding]:
        """One way to find it."""
        if self.match_label is None and self.match_uuid is None:
            message = "an adopted partition needs either 'matchLabel' or 'matchUuid'"
            yield Finding((), message, code="basic-check-failed")
        elif self.match_label is not None and self.match_uuid is not None:
            message = "'matchLabel' and 'matchUuid' may not be given together"
            yield Finding(("matchUuid",), message, "remove one of them", code="basic-check-failed")


class Disk(Section):
    """A disk to partition. What is on it is lost, except for adopted partitions."""

    empty_lists: ClassVar[bool] = True

    id: DeviceId = Field(description="Name by which the configuration refers to it; unique.")
    device: DiskPath = Field(
        description="Its device, best below `/dev/disk/by-path`: names such as `/dev/sda` may change."
    )
    partition_table_type: Literal["gpt"] = Field(description="Kind of the partition table.")
    partitions: tuple[Partition, ...] = Field(description="Partitions to create, in this order; may be empty.")
    adopted_partitions: tuple[AdoptedPartition, ...] = Field(
        default=(), description="Existing partitions to keep; all others are deleted. The disk must have a GPT."
    )
