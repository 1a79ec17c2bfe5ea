"""`storage.filesystems` and `storage.swap` (host-config spec, sections 5.9 to 5.11)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from twinroot.config.host.scalars import DeviceId, MountPath, usual_spelling
from twinroot.config.problems import Finding, one_of
from twinroot.config.scalars import MountOptions
from twinroot.config.section import Section, ShortSection

ESP_MOUNT_POINT = "/boot/efi"

FilesystemSource = Literal["image", "new", "adopted"]
FilesystemType = Literal["ext4", "xfs", "vfat", "ntfs", "tmpfs", "auto", "overlay", "iso9660"]

_TYPES: dict[str, tuple[str, ...]] = {
    "image": (),
    "new": ("ext4", "xfs", "vfat", "ntfs", "tmpfs", "overlay"),
    "adopted": ("auto", "ext4", "xfs", "vfat", "ntfs", "iso9660"),
}
_DEFAULT_TYPES = {"new": "ext4", "adopted": "auto"}
_WITHOUT_DEVICE = ("tmpfs", "overlay")


class MountPoint(ShortSection):
    """Where a file system is mounted; a path alone may stand for the object."""

    short_form: ClassVar[str] = "path"
    always_written: ClassVar[frozenset[str]] = frozenset(("options",))

    path: MountPath = Field(description="Absolute path; unique among file systems.")
    options: MountOptions = Field(
        default="defaults", description="Mount options, separated by commas. The default is `defaults`."
    )

    @property
    def target(self) -> str:
        """The path in its usual spelling."""
        return usual_spelling(self.path)

    @property
    def read_only(self) -> bool:
        """Whether the option `ro` is there."""
        return "ro" in self.options.split(",")


class Filesystem(Section):
    """A file system: from the image, new, or kept."""

    device_id: DeviceId | None = Field(
        default=None, description="Id of the device that it is on. Required, except for `tmpfs`, which may have none."
    )
    source: FilesystemSource = Field(
        default="image",
        description="Where its content comes from: `image`, the default; `new` for an empty one; `adopted` for what is "
        "there already.",
    )
    type: FilesystemType | None = Field(
        default=None,
        description="Its type. Not for `image`; for `new` one of `ext4` (the default), `xfs`, `vfat`, `ntfs`, `tmpfs`; "
        "for `adopted` one of `auto` (the default), `ext4`, `xfs`, `vfat`, `ntfs`.",
    )
    mount_point: MountPoint | None = Field(default=None, description="Where it is mounted.")
    override_esp_mount: Literal["use-default", "override", "block"] = Field(
        default="use-default",
        description=f"Whether it is the EFI system partition: by default if it is mounted at `{ESP_MOUNT_POINT}`; "
        "`override` for yes, `block` for no.",
    )

    @model_validator(mode="before")
    @classmethod
    def _with_type(cls, data: Any) -> Any:
        """Write the default out: two configurations that differ in nothing else are the same."""
        source = data.get("source") if isinstance(data, dict) and data.get("type") is None else None
        return data | {"type": _DEFAULT_TYPES[source]} if isinstance(source, str) and source in _DEFAULT_TYPES else data

    @property
    def is_esp(self) -> bool:
        """Whether it is the EFI system partition."""
        if self.override_esp_mount == "use-default":
            return self.mount_point is not None and self.mount_point.target == ESP_MOUNT_POINT
        return self.override_esp_mount == "override"

    @property
    def needs_device(self) -> bool:
        """Whether it is on a device."""
        return self.type not in _WITHOUT_DEVICE

    @property
    def has_content(self) -> bool:
        """Whether it comes with content: from the image, or what is there already."""
        return self.source in ("image", "adopted")

    def check(self) -> Iterator[Finding]:
        """Type and source, device and mount point go together."""
        known = _TYPES[self.source]
        if self.type and self.type not in known:
            if not known:
                yield Finding(
                    ("type",), "a file system from the image has no 'type' here", "remove it, or add source: new"
                )
            else:
                message = f"a file system with source {self.source} cannot have the type {self.type}"
                yield Finding(("type",), message, f"use {one_of(known[:-1])}")
            return
        if self.needs_device and self.device_id is None:
            message = "a file system needs a 'deviceId'"
            yield Finding((), message, code="filesystem-missing-block-device-id")
        if not self.needs_device and self.device_id is not None:
            message = f"a file system of type {self.type} is on no device"
            yield Finding(("deviceId",), message, "remove deviceId", code="filesystem-unexpected-block-device-id")
        if not self.needs_device and self.mount_point is None:
            message = f"a file system of type {self.type} needs a 'mountPoint'"
            yield Finding((), message, code="filesystem-missing-mount-point")
        if self.override_esp_mount == "override" and self.mount_point is None:
            message = "the EFI system partition needs a 'mountPoint'"
            yield Finding((), message, code="filesystem-esp-without-mount-point")


class Swap(ShortSection):
    """A swap device; its id alone may stand for the object."""

    short_form: ClassVar[str] = "deviceId"

    device_id: DeviceId = Field(
        description="Id of a partition of type `swap`, or of an encrypted volume on one, which gets a new key at every "
        "start."
    )
