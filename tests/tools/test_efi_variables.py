"""Variables of the firmware in a directory with efivarfs's format; what efibootmgr says of it, where there is one."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from twinroot.agent.boot.boot_entries import NEXT, ORDER, arm, promote, read_boot_variables
from twinroot.agent.boot.efi_variables import GLOBAL, LOADER, Delete, EfiVariables, Set, Variable
from twinroot.agent.errors import ServicingError
from twinroot.errors import CommandError, FormatError, HostError
from twinroot.formats.efi_boot import HardDrive, new_option, write_numbers, write_option
from twinroot.tools.run import first_available, run

ESP = HardDrive(1, 2048, 131072, UUID("01234567-89ab-cdef-0123-456789abcdef"))
LOADER_PATH = "\\EFI\\AZLA\\bootx64.efi"


@pytest.fixture
def variables(tmp_path: Path) -> EfiVariables:
    """A firmware with one entry of another system."""
    put(tmp_path, "Boot0000", write_option(new_option("Windows", ESP, "\\EFI\\Microsoft\\Boot\\bootmgfw.efi")))
    put(tmp_path, "BootOrder", write_numbers([0]))
    put(tmp_path, "BootCurrent", write_numbers([0]))
    put(tmp_path, "Boot0009", b"damaged")
    put(tmp_path, "BootOptionSupport", bytes(4))
    return EfiVariables(tmp_path)


def put(directory: Path, name: str, value: bytes, attributes: int = 7) -> Path:
    path = directory / f"{name}-{GLOBAL}"
    path.write_bytes(struct.pack("<I", attributes) + value)
    return path


def test_entries_are_made_and_found_again(variables: EfiVariables) -> None:
    now = read_boot_variables(variables)
    assert (now.order, now.next, now.current, sorted(now.taken)) == ((0,), None, 0, [0, 9])
    variables.carry_out(arm(now, "AZLA", LOADER_PATH, [ESP], lasting=True))
    then = read_boot_variables(variables)
    assert (then.order, then.next) == ((1, 0), 1)
    assert then.entries[1] == new_option("AZLA", ESP, LOADER_PATH)
    assert (variables.directory / f"Boot0001-{GLOBAL}").read_bytes()[:4] == b"\7\0\0\0"
    put(variables.directory, "BootOrder", write_numbers([0, 1]))
    variables.carry_out(promote(read_boot_variables(variables), "AZLA", LOADER_PATH, [ESP]))
    assert read_boot_variables(variables).order == (1, 0)


def test_a_shorter_value_takes_the_place_of_a_longer_one(variables: EfiVariables) -> None:
    variables.carry_out([Set(ORDER, write_numbers([1, 2, 3])), Set(ORDER, write_numbers([4]))])
    assert variables.read(ORDER) == b"\4\0"


def test_a_value_that_is_there_is_not_written_again(variables: EfiVariables) -> None:
    path = variables.directory / f"BootOrder-{GLOBAL}"
    os.utime(path, ns=(1, 1))
    variables.carry_out([Set(ORDER, write_numbers([0]))])
    assert path.stat().st_mtime_ns == 1


def test_removing_what_is_not_there_is_no_error(variables: EfiVariables) -> None:
    variables.carry_out([Delete(NEXT), Delete(ORDER)])
    assert variables.read(ORDER) is None


def test_the_variables_of_a_vendor_are_its_own(variables: EfiVariables) -> None:
    variables.carry_out([Set(Variable("LoaderEntryOneShot", LOADER), b"x\0")])
    assert variables.names(LOADER) == ("LoaderEntryOneShot",)
    assert "LoaderEntryOneShot" not in variables.names()


@pytest.fixture
def immutable(variables: EfiVariables) -> Iterator[Path]:
    """A variable with the mark that the kernel gives to most."""
    path = variables.directory / f"BootOrder-{GLOBAL}"
    try:
        run(["chattr", "+i", path])
    except CommandError:
        pytest.skip("files here cannot be marked immutable")
    yield path
    run(["chattr", "-f", "-i", path], ok=(0, 1))


def test_an_immutable_variable_is_written_and_stays_immutable(variables: EfiVariables, immutable: Path) -> None:
    with pytest.raises(PermissionError):
        immutable.write_bytes(b"")
    variables.carry_out([Set(ORDER, write_numbers([7]))])
    assert variables.read(ORDER) == b"\7\0"
    assert "i" in run(["lsattr", immutable]).stdout.split()[0]


def test_an_immutable_variable_is_removed(variables: EfiVariables, immutable: Path) -> None:
    variables.carry_out([Delete(ORDER)])
    assert not immutable.exists()


def test_a_machine_without_uefi(tmp_path: Path) -> None:
    nowhere = EfiVariables(tmp_path / "none")
    with pytest.raises(HostError, match="start the machine by UEFI"):
        read_boot_variables(nowhere)
    with pytest.raises(ServicingError, match="start the machine by UEFI"):
        nowhere.carry_out([Set(ORDER, b"\0\0")])


def test_a_refused_write_leaves_no_empty_variable(variables: EfiVariables) -> None:
    with pytest.raises(ServicingError, match="BootNext cannot be set"):
        EfiVariables(Path("/proc/self")).carry_out([Set(NEXT, b"\0\0")])
    (variables.directory / f"BootNext-{GLOBAL}").touch()
    assert variables.read(NEXT) is None


def test_a_damaged_order_is_an_error(variables: EfiVariables) -> None:
    put(variables.directory, "BootOrder", b"\0")
    with pytest.raises(ServicingError, match="BootOrder: a list of boot entries has 1 bytes"):
        read_boot_variables(variables)


def test_no_pipe_is_opened_for_a_variable(variables: EfiVariables) -> None:
    os.mkfifo(variables.directory / f"BootNext-{GLOBAL}")
    with pytest.raises(FormatError, match="no plain file"):
        variables.read(NEXT)


@pytest.mark.skipif(first_available(["efibootmgr"]) is None, reason="efibootmgr is not installed")
def test_efibootmgr_sees_what_we_wrote(variables: EfiVariables) -> None:
    (variables.directory / f"Boot0009-{GLOBAL}").unlink()
    variables.carry_out(arm(read_boot_variables(variables), "AZLA", LOADER_PATH, [ESP], lasting=False))
    seen = run(["efibootmgr", "--verbose"], env={"EFIVARFS_PATH": f"{variables.directory}/"}).stdout
    assert "BootNext: 0001" in seen
    assert "BootOrder: 0000,0001" in seen
    line = next(line for line in seen.splitlines() if line.startswith("Boot0001*"))
    assert "AZLA" in line
    assert "HD(1,GPT,01234567-89ab-cdef-0123-456789abcdef,0x800,0x20000)" in line
    assert "EFI\\AZLA\\bootx64.efi" in line
