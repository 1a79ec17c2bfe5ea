"""`storage.encryption`: volumes that LUKS2 protects (host-config spec, sections 5.4 and 5.5)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import Field, PlainSerializer, WithJsonSchema

from twinroot.config.host.scalars import DeviceId, DeviceName, FileUrl, Switch
from twinroot.config.problems import Finding, did_you_mean, one_of, quoted
from twinroot.config.scalars import ScalarError, from_text
from twinroot.config.section import Section

PCR_NAMES = (
    "platform-code", "platform-config", "external-code", "external-config", "boot-loader-code", "boot-loader-config",
    "host-platform", "secure-boot-policy", "pcr8", "kernel-initrd", "ima", "kernel-boot", "kernel-config", "sysexts",
    "shim-policy", "system-identity", "debug", "pcr17", "pcr18", "pcr19", "pcr20", "pcr21", "pcr22",
    "application-support",
)  # fmt: skip
"""By number (spec 5.4)."""

SUPPORTED_PCRS = (4, 7, 11)


def pcr(text: str) -> int:
    """The number of a PCR, from its number or its name."""
    if text in PCR_NAMES:
        return PCR_NAMES.index(text)
    if not text.isascii() or not text.isdigit() or len(text) > 4 or int(text) >= len(PCR_NAMES):
        hint = did_you_mean(text, PCR_NAMES) or "write a number from 0 to 23 or a name such as secure-boot-policy"
        raise ScalarError(f"{quoted(text)} is not a PCR", hint)
    return int(text)


Pcr = Annotated[
    int,
    from_text(pcr),
    PlainSerializer(lambda number: PCR_NAMES[number]),
    WithJsonSchema({"anyOf": [{"enum": list(PCR_NAMES)}, {"type": "integer", "minimum": 0, "maximum": 23}]}),
]


class EncryptedVolume(Section):
    """A volume that is encrypted."""

    id: DeviceId = Field(description="Name by which the configuration refers to the opened volume; unique.")
    device_name: DeviceName = Field(description="Its name below `/dev/mapper`; unique.")
    device_id: DeviceId = Field(
        description="The partition or RAID array to encrypt; not an ESP, root, home or verity hash partition."
    )


class Encryption(Section):
    """Volumes that are encrypted, with keys that the TPM keeps."""

    empty_lists: ClassVar[bool] = True

    recovery_key_url: FileUrl | None = Field(
        default=None,
        description="File that holds a key for recovery, as a `file` URL. Without it the TPM is the only way in.",
    )
    volumes: tuple[EncryptedVolume, ...] = Field(description="The volumes.")
    pcrs: tuple[Pcr, ...] = Field(
        description="Registers of the TPM that must be unchanged for it to give the key away: `boot-loader-code` (4), "
        "`secure-boot-policy` (7), `kernel-boot` (11). Images that boot with grub support only 7."
    )
    clear_tpm_on_install: Switch = Field(default=False, description="Clear the TPM first. The default is false.")

    def check(self) -> Iterator[Finding]:
        """Few registers are supported."""
        for index, number in enumerate(self.pcrs):
            if number not in SUPPORTED_PCRS:
                names = one_of(f"{PCR_NAMES[known]} ({known})" for known in SUPPORTED_PCRS)
                message = f"the PCR {PCR_NAMES[number]} ({number}) is not supported"
                yield Finding(("pcrs", index), message, f"use {names}", code="unsupported-encryption-pcrs")
