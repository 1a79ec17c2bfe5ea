"""Facts about a base image that plans are made from. Values only: `base` reads them."""

from __future__ import annotations

from dataclasses import dataclass

from twinroot.formats import gpt


@dataclass(frozen=True)
class BaseFilesystem:
    """One partition of the base disk. `type`, `uuid` and `label` are None for unformatted ones; sizes in bytes.

    `features` are those of an ext filesystem. `mount_point`, `options` and `source` come from the image's fstab;
    None where it does not mount the partition. `subvolume` is what a mount of btrfs shows, "" for its top.
    """

    partition: gpt.Partition
    offset: int
    size: int
    type: str | None
    uuid: str | None
    label: str | None
    mount_point: str | None = None
    options: str | None = None
    source: str | None = None
    features: tuple[str, ...] | None = None
    subvolume: str = ""
