"""`storage.verity`: partitions that dm-verity protects (image-config spec, sections 4.11 and 4.12).

What holds between verity devices, partitions and file systems is in `verity_rules`.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from twinroot.config.image.mount_point import MountIdType
from twinroot.config.problems import Finding, quoted
from twinroot.config.scalars import (
    EmptyIsUnset,
    GptLabel,
    NonEmptyStr,
    OptionalStr,
    ScalarError,
    from_text,
    in_image_path,
)
from twinroot.config.section import Section

CorruptionOption = Literal["io-error", "ignore", "panic", "restart"]


def verity_name(text: str) -> str:
    """Name of the device in the device mapper, which says what it is mounted as."""
    if text not in ("root", "usr"):
        raise ScalarError(f"{quoted(text)} is not a name of a verity device", "use root or usr")
    return text


def signature_path(text: str) -> str | None:
    """A file below /boot; None for empty text."""
    if not text:
        return None
    path = in_image_path(text)
    if posixpath.normpath(path) != path:
        raise ScalarError(
            f"{quoted(path)} is not in its shortest form", f"write {quoted('/' + posixpath.normpath(path).lstrip('/'))}"
        )
    if not path.startswith("/boot/"):
        raise ScalarError(f"{quoted(path)} must be a file below /boot", "write for example /boot/root.hash.sig")
    return path


class IdentifiedPartition(Section):
    """A partition of the base image."""

    id_type: Literal["part-label"] = Field(description="How the partition is named.")
    id: GptLabel = Field(description="Label of the partition.")

    def check(self) -> Iterator[Finding]:
        """There is a label to look for."""
        if not self.id:
            yield Finding(("id",), "the label is empty")


class Verity(Section):
    """A verity device: data that is checked against a tree of hashes while it is read."""

    id: NonEmptyStr = Field(description="Name by which file systems refer to it; unique, also among partitions.")
    name: Annotated[str, from_text(verity_name)] = Field(
        description="`root` if mounted at `/`, `usr` if mounted at `/usr`."
    )
    data_device_id: OptionalStr = Field(default=None, description="Id of the partition that holds the data.")
    data_device: IdentifiedPartition | None = Field(
        default=None, description="Partition of the base image that holds the data. Not with `storage.disks`."
    )
    data_device_mount_id_type: Annotated[MountIdType | None, EmptyIsUnset] = Field(
        default=None, description="How the kernel command line names the data partition. The default is `part-uuid`."
    )
    hash_device_id: OptionalStr = Field(
        default=None,
        description="Id of the partition that holds the hashes; the same as `dataDeviceId` to append them to the data.",
    )
    hash_device: IdentifiedPartition | None = Field(
        default=None, description="Partition of the base image that holds the hashes. Not with `storage.disks`."
    )
    hash_device_mount_id_type: Annotated[MountIdType | None, EmptyIsUnset] = Field(
        default=None, description="How the kernel command line names the hash partition. The default is `part-uuid`."
    )
    corruption_option: Annotated[CorruptionOption | None, EmptyIsUnset] = Field(
        default=None, description="What happens when a hash does not match. The default is `io-error`."
    )
    hash_signature_path: Annotated[str | None, from_text(signature_path)] = Field(
        default=None,
        description="File below `/boot` for a signature of the root hash. Needs the preview feature "
        "`output-artifacts`.",
    )

    @property
    def is_inline(self) -> bool:
        """Whether the hashes are appended to the data in one partition."""
        return self.data_device_id is not None and self.data_device_id == self.hash_device_id

    @property
    def by_id(self) -> bool:
        """Whether it names partitions of `storage.disks`."""
        return self.data_device_id is not None or self.hash_device_id is not None

    @property
    def by_label(self) -> bool:
        """Whether it names partitions of the base image."""
        return self.data_device is not None or self.hash_device is not None

    def check(self) -> Iterator[Finding]:
        """Both partitions are named, in the same way."""
        if self.by_id and self.by_label:
            hint = "use dataDeviceId and hashDeviceId with storage.disks, dataDevice and hashDevice without"
            yield Finding((), "partitions are named by id and by label", hint)
            return
        keys = ("dataDevice", "hashDevice") if self.by_label else ("dataDeviceId", "hashDeviceId")
        values = (self.data_device, self.hash_device) if self.by_label else (self.data_device_id, self.hash_device_id)
        for key, value in zip(keys, values, strict=True):
            if value is None:
                yield Finding((key,), "this key is required and missing")
