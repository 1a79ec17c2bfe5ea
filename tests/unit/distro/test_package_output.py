"""What package managers print, in the forms that each of them has."""

from __future__ import annotations

import pytest

from twinroot.distro import apt, rpm
from twinroot.distro.packages import InstalledPackage

RPM_OUTPUTS = [
    ("", []),
    ("Installing : jq-1.7-1.x86_64  1/2\nComplete!\n", []),
    # dnf 4
    ("No match for argument: nope\nError: Unable to find a match: nope\n", ["nope"]),
    ("No match for argument: a\nNo match for argument: b\nError: Unable to find a match: a b\n", ["a", "b"]),
    # dnf 5
    (
        "Failed to resolve the transaction:\nNo match for argument: nope\nYou can try to add to command line:\n"
        "  --skip-unavailable to skip unavailable packages\n",
        ["nope"],
    ),
    # tdnf
    ("nope package not found or not installed\nError(1011) : No matching packages\n", ["nope"]),
    ("Error(1011) : No matching packages\n", []),
    # microdnf
    ("error: No package matches 'nope'\n", ["nope"]),
]


@pytest.mark.parametrize(("output", "names"), RPM_OUTPUTS)
def test_packages_unknown_to_rpm_managers(output: str, names: list[str]) -> None:
    assert rpm.unknown_packages(output) == names


@pytest.mark.parametrize(
    ("output", "names"),
    [
        ("Package jq available, but not installed.\nNo match for argument: jq\nError: No packages marked.\n", ["jq"]),
        ("Packages for argument 'jq' available, but not installed.\nNothing to do.\n", ["jq"]),
        ("No match for argument: nope\n", []),
    ],
)
def test_packages_that_are_not_installed(output: str, names: list[str]) -> None:
    assert rpm.not_installed_packages(output) == names


APT_OUTPUTS = [
    ("", []),
    ("E: Unable to locate package nope\n", ["nope"]),
    ("Reading...\nE: Unable to locate package a\nE: Unable to locate package b\n", ["a", "b"]),
    (
        "E: Unable to locate package no.pe\nE: Couldn't find any package by glob 'no.pe'\n"
        "E: Couldn't find any package by regex 'no.pe'\n",
        ["no.pe"],
    ),
    (
        "Package nope is not available, but is referred to by another package.\n"
        "E: Package 'nope' has no installation candidate\n",
        ["nope"],
    ),
    ("E: Version '9' for 'curl' was not found\n", ["curl"]),
    ("E: Couldn't find task 'nope'\n", ["nope"]),
    ("E: Sub-process /usr/bin/dpkg returned an error code (1)\n", []),
]


@pytest.mark.parametrize(("output", "names"), APT_OUTPUTS)
def test_packages_unknown_to_apt(output: str, names: list[str]) -> None:
    assert apt.unknown_packages(output) == names


def test_installed_rpms() -> None:
    rows = [
        "zlib\t1.3\t1.azl3\tx86_64",
        "gpg-pubkey\t3135ce90\t5e6fda74\t(none)",
        "bash\t5.2\t2\tx86_64",
        "bash\t5.2\t1\tx86_64",
        "warning: something",
        "",
    ]
    assert rpm.parse_installed(rows) == [
        InstalledPackage("bash", "5.2", "1", "x86_64"),
        InstalledPackage("bash", "5.2", "2", "x86_64"),
        InstalledPackage("zlib", "1.3", "1.azl3", "x86_64"),
    ]


def test_the_dpkg_status_file() -> None:
    text = """\
Package: vim
Status: install ok installed
Version: 2:9.0
Architecture: amd64
Description: an editor
 Status: install ok installed
 .
 More: text

Package: removed
Status: deinstall ok config-files
Version: 1
Architecture: all

Package: held
Status: hold ok installed
Version: 1
Architecture: all

Package: broken
Status: install ok half-installed
Version: 1
Architecture: all
"""
    assert apt.parse_status(text) == [
        InstalledPackage("held", "1", "", "all"),
        InstalledPackage("vim", "2:9.0", "", "amd64"),
    ]
    assert apt.parse_status("") == []
