"""The screen and the JSON of an inspection: golden text for one of each kind."""

from __future__ import annotations

import json
from dataclasses import replace
from uuid import UUID

import pytest
from tests.memory import little_memory

from twinroot.cli.drawing import UTF8, paint
from twinroot.cli.inspect_report import report, short
from twinroot.distro.packages import InstalledPackage
from twinroot.output.inspection import (
    BootSummary,
    CosiFacts,
    DiskFacts,
    Gap,
    Inspection,
    OsSummary,
    PartitionFacts,
    StoredImage,
    as_json,
)
from twinroot.units import ESP, GIB, LINUX_GENERIC, MIB

DISK = Inspection(
    file="/images/out.raw",
    format="raw",
    file_size=4 * GIB,
    allocated=300 * MIB,
    disk=DiskFacts(4 * GIB, 512, UUID(int=9), (Gap(2 * GIB, 2 * GIB - MIB),)),
    partitions=(
        PartitionFacts(
            1, "esp", ESP, UUID(int=1), MIB, 64 * MIB, "vfat", "DB7D-FEC8", "ESP", "/boot/efi", used=4 * MIB
        ),
        PartitionFacts(
            2, "ro\x1bot", LINUX_GENERIC, UUID(int=2), 65 * MIB, 1983 * MIB, "ext4", str(UUID(int=3)), None, "/", GIB
        ),
    ),
    os=OsSummary("Some Linux 3", "some", "3.0", "x86_64", "rpm", (InstalledPackage("bash", "5.2", "1", "x86_64"),)),
    boot=BootSummary("grub", "root=UUID=1 console=ttyS0", ("6.1.0",), ()),
    image_id=None,
    cosi=None,
    notes=("something is odd",),
)

SCREEN = """\
out.raw · raw disk image · disk of 4 GiB · 300 MiB on this host

┌───────────┬──────────────────────────────┬─────────────────────────────────┐
│ 1 esp     │ 2 ro?ot                      │░ free ░░░░░░░░░░░░░░░░░░░░░░░░░░│
│ /boot/efi │ /                            │░ 2 GiB ░░░░░░░░░░░░░░░░░░░░░░░░░│
│ 64 MiB    │ 1.94 GiB                     │░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░│
│ ━──────── │ ━━━━━━━━━━━━━━────────────── │░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░│
└───────────┴──────────────────────────────┴─────────────────────────────────┘

#  label  type           fs    mount point   start      size   used
1  esp    esp            vfat  /boot/efi     1 MiB    64 MiB  4 MiB
2  ro?ot  linux-generic  ext4  /            65 MiB  1.94 GiB  1 GiB

#  PARTUUID                              filesystem UUID
1  00000000-0000-0000-0000-000000000001  DB7D-FEC8
2  00000000-0000-0000-0000-000000000002  00000000-0000-0000-0000-000000000003

system           Some Linux 3 [some 3.0, x86_64]
packages         1 RPM packages
boot loader      grub
kernel           6.1.0
command line     root=UUID=1 console=ttyS0
disk id          00000000-0000-0000-0000-000000000009

note             something is odd

package  version  release  arch
bash     5.2      1        x86_64"""


def screen(found: Inspection, width: int, *, packages: bool = False) -> str:
    return "\n".join(paint(line, color=False) for line in report(found, width, UTF8, packages=packages))


def test_golden_screen() -> None:
    assert screen(DISK, 78, packages=True) == SCREEN


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_a_cosi_file_before_1_2_has_no_bar(width: int) -> None:
    image = StoredImage("images/root.zst", MIB, GIB, "0" * 96)
    partition = PartitionFacts(None, "", LINUX_GENERIC, None, None, GIB, "ext4", "u", None, "/", image=image)
    cosi = CosiFacts("1.1", None, "ab" * 48, MIB, GIB)
    found = replace(DISK, format="cosi", disk=None, partitions=(partition,), cosi=cosi, notes=())
    shown = screen(found, width)
    assert "COSI 1.1 file" in shown
    assert "┌" not in shown
    assert "ab" * 20 in shown


@pytest.mark.parametrize(
    ("log", "shown"),
    [(23, "2^23 (8 MiB)"), (0, "0, the default of zstd"), (2**32 - 1, "2^4294967295, which zstd cannot do")],
)
def test_windows(log: int, shown: str) -> None:
    """The largest that the format has room for takes no memory here."""
    cosi = CosiFacts("1.2", log, "ab" * 48, MIB, GIB)
    with little_memory(MIB):
        assert f"zstd window      {shown}" in screen(replace(DISK, format="cosi", cosi=cosi), 100)


def test_json_has_every_key_and_is_plain_json() -> None:
    found = json.loads(json.dumps(as_json(DISK)))
    assert list(found) == [
        "file", "format", "fileSize", "allocatedSize", "imageId", "disk", "partitions", "os", "boot", "cosi", "notes",
    ]  # fmt: skip
    assert found["partitions"][0] == {
        "number": 1,
        "label": "esp",
        "type": "esp",
        "typeUuid": str(ESP),
        "partUuid": str(UUID(int=1)),
        "start": MIB,
        "size": 64 * MIB,
        "fsType": "vfat",
        "fsUuid": "DB7D-FEC8",
        "fsLabel": "ESP",
        "mountPoint": "/boot/efi",
        "used": 4 * MIB,
        "roothash": None,
        "image": None,
    }
    assert found["os"]["packageCount"] == 1


@pytest.mark.parametrize(
    ("size", "shown"), [(0, "0 B"), (512, "512 B"), (4 * GIB, "4 GiB"), (1536 * MIB, "1.5 GiB"), (200 * MIB, "200 MiB")]
)
def test_short(size: int, shown: str) -> None:
    assert short(size) == shown
