"""Recognising on a console that a machine will not come up."""

from __future__ import annotations

import pytest

from twinroot.vm.failures import find_failure


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        ("[    1.2] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)", "mount its root"),
        ("[    9.1] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100", "kernel panicked"),
        ("[    3.0] systemd[1]: Freezing execution.", "service manager crashed"),
        ("UEFI Interactive Shell v2.2", "firmware found nothing to boot"),
        ("BdsDxe: No bootable option or device was found.", "firmware found nothing to boot"),
        (
            'BdsDxe: failed to load Boot0001 "UEFI Misc Device" from PciRoot(0x0)/Pci(0x3,0x0): Access Denied',
            "Secure Boot refused the boot loader",
        ),
        ("error: bad shim signature.", "next step of the boot chain"),
        ("Verification failed: (0x1A) Security Violation", "next step of the boot chain"),
        (">>Start PXE over IPv4.", "tries the network"),
        (">>Start HTTP Boot over IPv4.....", "tries the network"),
        ("No bootable device.", "BIOS found nothing to boot"),
        ("grub> ", "GRUB found no configuration"),
        ("grub rescue> ", "modules"),
        ("(initramfs) ", "initramfs gave up"),
        ("dracut:/# ", "dracut gave up"),
        ("Entering emergency mode. Exit the shell to continue.", "dracut gave up"),
        ('You are in emergency mode. After logging in, type "journalctl -xb" to view', "emergency mode"),
        ("Cannot open access to console, the root account is locked.", "without a root password"),
    ],
)
def test_known_failures(line: str, meaning: str) -> None:
    failure = find_failure(f"before\n{line}\nafter\n")
    assert failure is not None
    assert failure.line == line.strip()
    assert meaning in failure.meaning
    assert failure.hint


@pytest.mark.parametrize(
    "log",
    [
        "",
        "Booting `Twinroot'\n",
        'BdsDxe: failed to load Boot0001 "UEFI Misc Device" from PciRoot(0x0)/Pci(0x1,0x0): Not Found\n',
        "[    0.0] Command line: root=/dev/vda2 panic=30 systemd.unit=emergency.target\n",
        "[  OK  ] Reached target Local File Systems.\n",
        "[    2.1] systemd[1]: Created slice system-getty.slice.\n",
        "         Starting Emergency Shell...\n",
        "# echo 'the prompt is grub> here'\n",
        "debian login: ",
    ],
)
def test_ordinary_lines_are_no_failure(log: str) -> None:
    assert find_failure(log) is None


def test_the_first_failure_counts_and_what_was_seen_before_does_not() -> None:
    log = "(initramfs) \nKernel panic - not syncing: x\n"
    first = find_failure(log)
    assert first is not None and first.line == "(initramfs)"
    second = find_failure(log, 5)
    assert second is not None and second.line.startswith("Kernel panic")
