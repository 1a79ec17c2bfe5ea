"""`storage.verity`: devices that dm-verity protects (host-config spec, section 5.8)."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from twinroot.config.host.scalars import DeviceId, DeviceName
from twinroot.config.section import Section


class VerityDevice(Section):
    """A device that dm-verity protects. The image must have been made with it."""

    always_written: ClassVar[frozenset[str]] = frozenset(("corruption_option",))

    id: DeviceId = Field(description="Name by which the file system refers to it; unique.")
    name: DeviceName = Field(description="`root` for a device mounted at `/`, `usr` for one at `/usr`.")
    data_device_id: DeviceId = Field(
        description="Device with the data: a partition, RAID array or A/B pair; type `root`, `usr` or `linux-generic`."
    )
    hash_device_id: DeviceId = Field(
        description="Device with the hashes, of the same kind; type `root-verity`, `usr-verity` or `linux-generic`."
    )
    corruption_option: Literal["io-error", "ignore", "panic", "restart"] = Field(
        default="io-error", description="What happens when data is found to be wrong. The default is `io-error`."
    )
