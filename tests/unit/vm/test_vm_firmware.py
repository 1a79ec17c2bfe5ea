"""Choosing UEFI firmware from QEMU's descriptors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from twinroot.errors import HostError
from twinroot.vm.firmware import locate, read_descriptors


def descriptor(directory: Path, name: str, *, features: tuple[str, ...] = (), **changes: object) -> None:
    """A descriptor with the files it names."""
    stem = name.removesuffix(".json")
    mapping: dict[str, Any] = {"device": "flash"}
    for role, suffix in (("executable", "code"), ("nvram-template", "vars")):
        file = directory / f"{stem}.{suffix}"
        file.write_bytes(b"")
        mapping[role] = {"filename": str(file), "format": "raw"}
    content = {
        "interface-types": ["uefi"],
        "mapping": mapping,
        "targets": [{"architecture": "x86_64", "machines": ["pc-i440fx-*", "pc-q35-*"]}],
        "features": list(features),
    }
    (directory / name).write_text(json.dumps(content | changes))


SECURE = ("secure-boot", "enrolled-keys", "requires-smm")


def test_the_first_that_fits_wins(tmp_path: Path) -> None:
    descriptor(tmp_path, "40-secure.json", features=SECURE)
    descriptor(tmp_path, "45-arm.json", targets=[{"architecture": "aarch64", "machines": ["virt-*"]}])
    descriptor(tmp_path, "46-memory.json", mapping={"device": "memory", "filename": "x"})
    descriptor(tmp_path, "47-sev.json", features=("amd-sev-snp",))
    descriptor(tmp_path, "60-plain.json")
    descriptor(tmp_path, "70-later.json")
    assert locate(directories=[tmp_path]).code == tmp_path / "60-plain.code"
    secure = locate(secure_boot=True, directories=[tmp_path])
    assert (secure.code, secure.secure_boot) == (tmp_path / "40-secure.code", True)


def test_firmware_whose_files_are_gone_is_passed_over(tmp_path: Path) -> None:
    descriptor(tmp_path, "50-first.json")
    descriptor(tmp_path, "60-second.json")
    (tmp_path / "50-first.vars").unlink()
    assert locate(directories=[tmp_path]).variables == tmp_path / "60-second.vars"


def test_the_machine_overrides_the_distribution(tmp_path: Path) -> None:
    distribution, machine = tmp_path / "usr", tmp_path / "etc"
    distribution.mkdir()
    machine.mkdir()
    for name in ("50-hidden.json", "60-changed.json"):
        descriptor(distribution, name)
    (machine / "50-hidden.json").write_text("")
    descriptor(machine, "60-changed.json")
    assert len(read_descriptors([distribution, machine])) == 1
    assert locate(directories=[distribution, machine]).code == machine / "60-changed.code"


@pytest.mark.parametrize("secure_boot", [False, True])
def test_no_firmware_names_the_package(tmp_path: Path, secure_boot: bool) -> None:
    with pytest.raises(HostError, match="apt-get install ovmf"):
        locate(secure_boot=secure_boot, directories=[tmp_path / "none", tmp_path])
