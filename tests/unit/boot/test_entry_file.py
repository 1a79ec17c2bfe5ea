"""Entry files of the Boot Loader Specification."""

from __future__ import annotations

import pytest

from twinroot.boot.entry_file import (
    append_options,
    is_recovery,
    move_files,
    options,
    replace_options,
    set_options,
)

ENTRY = "title Linux\nversion 6\nlinux /boot/vmlinuz-6\ninitrd /boot/initramfs-6.img $tuned_initrd\n"
NAMES = ["security", "selinux"]


@pytest.mark.parametrize(
    ("lines", "added", "expected"),
    [
        ("", [], None),
        ("", ["a"], "a"),
        ("options\troot=x ro\n", ["a", "b=c d"], 'root=x ro a b="c d"'),
        ("options root=x\noptions ro\n", ["a"], "root=x ro a"),
        ("options root=x $kernelopts y\n", ["a"], "root=x a $kernelopts y"),
    ],
)
def test_append(lines: str, added: list[str], expected: str | None) -> None:
    text = append_options(ENTRY + lines, added)
    assert options(text) == expected
    assert text.startswith(ENTRY)


@pytest.mark.parametrize(
    ("lines", "added", "expected"),
    [
        ("options root=x\n", [], "root=x"),
        ("options root=x\n", ["selinux=0"], "root=x selinux=0"),
        ("options security=s selinux=1 root=x\n", ["selinux=0"], "selinux=0 root=x"),
        ("options selinux=1 root=x\noptions ro selinux=1\n", ["selinux=0"], "root=x ro selinux=0"),
        ('options x="selinux=1 y" selinux2=1 selinux=1\n', [], 'x="selinux=1 y" selinux2=1'),
        ("", ["selinux=0"], "selinux=0"),
        ("", [], None),
    ],
)
def test_replace(lines: str, added: list[str], expected: str | None) -> None:
    assert options(replace_options(ENTRY + lines, NAMES, added)) == expected


def test_set() -> None:
    text = ENTRY + "options a\ngrub_users $grub_users\noptions b"
    assert set_options(text, "new") == ENTRY + "grub_users $grub_users\noptions new\n"


@pytest.mark.parametrize(("directory", "prefix"), [("/", "/"), ("/boot", "/boot/"), ("/@/boot", "/@/boot/")])
def test_files_move_with_boot(directory: str, prefix: str) -> None:
    for text in (ENTRY, ENTRY.replace(" /boot/", " /")):
        moved = move_files(text, directory)
        assert f"linux {prefix}vmlinuz-6\n" in moved and f"initrd {prefix}initramfs-6.img $tuned_initrd\n" in moved


@pytest.mark.parametrize(
    ("name", "title", "expected"),
    [
        ("id-6.conf", "Linux 6", False),
        ("id-0-rescue.conf", "Linux", True),
        ("id-0-rescue-6.conf", "Linux", True),
        ("id.conf", "Linux (Recovery mode)", True),
        ("id.conf", "Linux\nversion rescue", False),
    ],
)
def test_rescue_entries(name: str, title: str, expected: bool) -> None:
    assert is_recovery(name, f"title {title}\n") is expected
