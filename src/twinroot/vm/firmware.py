"""Which UEFI firmware to give a machine.

Distributions keep OVMF in different places but describe it alike: QEMU's firmware descriptors, JSON files whose
names give the order of preference (QEMU docs/interop/firmware.json). A descriptor of the same name in /etc overrides
the one in /usr; an empty file hides it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twinroot.errors import HostError

DIRECTORIES = (Path("/usr/share/qemu/firmware"), Path("/etc/qemu/firmware"))
_SECURE = {"secure-boot", "enrolled-keys", "requires-smm"}
_SPECIAL = {"amd-sev-snp", "intel-tdx"}


@dataclass(frozen=True)
class Firmware:
    """The code and the template of the variables; `format` is the image format of both (raw, qcow2)."""

    code: Path
    variables: Path
    format: str
    secure_boot: bool


def locate(*, secure_boot: bool = False, directories: Sequence[Path] = DIRECTORIES) -> Firmware:
    """The first installed firmware that fits; HostError, naming the package, when there is none.

    With `secure_boot` it enforces signatures and has the well-known keys enrolled.
    """
    found = choose(read_descriptors(directories), secure_boot=secure_boot)
    for firmware in found:
        if firmware.code.exists() and firmware.variables.exists():
            return firmware
    kind = "UEFI firmware with Secure Boot" if secure_boot else "UEFI firmware"
    raise HostError(
        f"no {kind} for virtual machines (OVMF) is installed",
        where=", ".join(str(directory) for directory in directories),
        hint="install it, for example: apt-get install ovmf (Fedora, Azure Linux: dnf install edk2-ovmf)",
    )


def read_descriptors(directories: Iterable[Path]) -> list[dict[str, Any]]:
    """The descriptors in their order of preference; later directories override earlier ones by file name."""
    files: dict[str, Path] = {}
    for directory in directories:
        files |= {path.name: path for path in directory.glob("*.json")}
    texts = (files[name].read_text(encoding="utf-8") for name in sorted(files))
    return [json.loads(text) for text in texts if text.strip()]


def choose(descriptors: Iterable[dict[str, Any]], *, secure_boot: bool) -> list[Firmware]:
    """Every firmware for an x86_64 q35 machine in two flash chips, in order; with or without Secure Boot."""
    return [_firmware(d["mapping"], secure_boot) for d in descriptors if _fits(d, secure_boot)]


def _fits(descriptor: dict[str, Any], secure_boot: bool) -> bool:
    mapping = descriptor["mapping"]
    features = set(descriptor.get("features", ()))
    return (
        "uefi" in descriptor["interface-types"]
        and mapping["device"] == "flash"
        and mapping.get("mode", "split") == "split"
        and mapping["executable"]["format"] == mapping["nvram-template"]["format"]
        and any(_q35(target) for target in descriptor["targets"])
        and (features >= _SECURE if secure_boot else not features & _SECURE)
        and not features & _SPECIAL
    )


def _q35(target: dict[str, Any]) -> bool:
    return target["architecture"] == "x86_64" and any(name.startswith("pc-q35") for name in target["machines"])


def _firmware(mapping: dict[str, Any], secure_boot: bool) -> Firmware:
    code, variables = mapping["executable"], mapping["nvram-template"]
    return Firmware(Path(code["filename"]), Path(variables["filename"]), code["format"], secure_boot)
