"""Recognising distributions by os-release files of every odd form."""

from __future__ import annotations

import pytest

from twinroot.distro.distro import parse_os_release, recognise
from twinroot.errors import InputError


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ID=debian", {"ID": "debian"}),
        ('ID="debian"', {"ID": "debian"}),
        ("ID='debian'", {"ID": "debian"}),
        ("  ID=debian  \r", {"ID": "debian"}),
        ('NAME="It\'s Linux"', {"NAME": "It's Linux"}),
        ('NAME="A \\"quoted\\" \\$name"', {"NAME": 'A "quoted" $name'}),
        ("NAME='a \"b\"'", {"NAME": 'a "b"'}),
        ('NAME=""', {"NAME": ""}),
        ("NAME=", {"NAME": ""}),
        ('NAME="unclosed', {"NAME": "unclosed"}),
        ("#ID=x", {}),
        ("", {}),
        ("nonsense", {}),
        ("ID=a\nID=b", {"ID": "b"}),
        ("URL=https://x.example/?a=b#c", {"URL": "https://x.example/?a=b#c"}),
    ],
)
def test_parse_os_release(line: str, expected: dict[str, str]) -> None:
    assert parse_os_release(line) == expected


@pytest.mark.parametrize(
    ("release", "name", "packages", "mkconfig", "kernelopts"),
    [
        ({"ID": "azurelinux", "VERSION_ID": "3.0"}, "azurelinux", "rpm", "grub2-mkconfig", True),
        ({"ID": "mariner", "VERSION_ID": "2.0"}, "azurelinux", "rpm", "grub2-mkconfig", True),
        ({"ID": "azurelinux", "VERSION_ID": "4.0"}, "azurelinux", "rpm", "grub2-mkconfig", False),
        ({"ID": "azurelinux"}, "azurelinux", "rpm", "grub2-mkconfig", True),
        ({"ID": "azurelinux", "VERSION_ID": "rolling"}, "azurelinux", "rpm", "grub2-mkconfig", True),
        ({"ID": "fedora", "VERSION_ID": "42"}, "fedora", "rpm", "grub2-mkconfig", False),
        ({"ID": "debian", "VERSION_ID": "12"}, "debian", "deb", "grub-mkconfig", False),
        ({"ID": "debian"}, "debian", "deb", "grub-mkconfig", False),
        ({"ID": "ubuntu", "VERSION_ID": "24.04"}, "ubuntu", "deb", "grub-mkconfig", False),
        ({"ID": "mint", "ID_LIKE": "ubuntu debian", "VERSION_ID": "21"}, "ubuntu", "deb", "grub-mkconfig", False),
        ({"ID": "own", "ID_LIKE": "unknown fedora", "VERSION_ID": "1"}, "fedora", "rpm", "grub2-mkconfig", False),
    ],
)
def test_recognise(release: dict[str, str], name: str, packages: str, mkconfig: str, kernelopts: bool) -> None:
    found = recognise(release)
    assert (found.name, found.packages) == (name, packages)
    assert (found.grub.mkconfig, found.grub.kernelopts) == (mkconfig, kernelopts)
    assert found.version == release.get("VERSION_ID", "")


@pytest.mark.parametrize(
    ("release", "program"),
    [
        ({"ID": "mariner", "VERSION_ID": "2.0.20240101"}, "mkinitrd"),
        ({"ID": "azurelinux", "VERSION_ID": "3.0"}, "dracut"),
        ({"ID": "azurelinux"}, "dracut"),
        ({"ID": "azurelinux", "VERSION_ID": "4.0"}, "dracut"),
        ({"ID": "fedora", "VERSION_ID": "42"}, "dracut"),
        ({"ID": "ubuntu", "VERSION_ID": "24.04"}, "update-initramfs"),
    ],
)
def test_what_makes_the_initramfs_that_grub_starts(release: dict[str, str], program: str) -> None:
    assert recognise(release).initramfs[0] == program


@pytest.mark.parametrize(
    ("release", "orphan", "seed", "boot_seed"),
    [
        ({"ID": "mariner", "VERSION_ID": "2.0"}, False, False, False),
        ({"ID": "azurelinux", "VERSION_ID": "3.0.20250101"}, True, False, False),
        ({"ID": "azurelinux", "VERSION_ID": "4.0"}, True, True, False),
        ({"ID": "fedora", "VERSION_ID": "42"}, True, False, False),
        ({"ID": "ubuntu", "VERSION_ID": "22.04"}, False, False, False),
        ({"ID": "azurelinux", "VERSION_ID": "unparsable"}, False, False, False),
    ],
)
def test_ext4_features_are_those_of_the_target(
    release: dict[str, str], orphan: bool, seed: bool, boot_seed: bool
) -> None:
    """Image behaviour spec, section 4."""
    found = recognise(release)
    assert ("orphan_file" in found.ext4, "metadata_csum_seed" in found.ext4) == (orphan, seed)
    assert ("orphan_file" in found.ext4_boot, "metadata_csum_seed" in found.ext4_boot) == (orphan, boot_seed)
    assert {"extent", "has_journal", "metadata_csum", "64bit"} <= set(found.ext4)


@pytest.mark.parametrize(
    ("release", "shown"),
    [
        ({}, "without /etc/os-release"),
        ({"ID": "plan9"}, "plan9"),
        ({"ID": "arch", "PRETTY_NAME": "Arch Linux", "ID_LIKE": "archlinux"}, "Arch Linux"),
    ],
)
def test_an_unknown_distribution_is_named(release: dict[str, str], shown: str) -> None:
    with pytest.raises(InputError, match=shown):
        recognise(release)
