"""The example A/B image, from the base image to a login prompt: the tutorial's result, checked from inside."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.images import AB_CONFIG, BASE_RPM, built, customize

from twinroot.events import silent
from twinroot.output.bootable import bootable_disk
from twinroot.vm.console import Console
from twinroot.vm.machine import Machine

pytestmark = [pytest.mark.vm, pytest.mark.images]

_INSTALLED = (
    "grub2-efi-binary-noprefix", "curl", "dnf", "efibootmgr", "iproute", "iptables", "lsof", "mdadm", "netplan",
    "openssh-server", "tpm2-tools", "vim", "audit",
)  # fmt: skip


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """The booted image's console, logged in; built and booted once for all tests of this file."""
    scratch = tmp_path_factory.mktemp("ab-image")
    image = scratch / "image.cosi"
    done = customize(AB_CONFIG, built(BASE_RPM), image, scratch / "build", output_format="cosi")
    assert done.code == 0, done.stderr
    disk = bootable_disk(image, scratch, silent)
    with Machine(disk.path, disk.qemu_format, log_file=scratch / "console.log") as machine:
        machine.console.login(timeout=600)
        yield machine.console


def test_system_comes_up_without_failures(console: Console) -> None:
    state = console.run("systemctl is-system-running --wait", timeout=300)
    failed = console.check("systemctl --failed --no-legend --plain")
    assert (state.output.strip(), failed.strip()) == ("running", "")


def test_packages_are_as_configured(console: Console) -> None:
    console.check(f"rpm -q {' '.join(_INSTALLED)}")
    assert console.run("rpm -q grub2-efi-binary").code == 1


def test_kernel_command_line_has_the_extra_arguments_once(console: Console) -> None:
    words = console.check("cat /proc/cmdline").split()
    assert (words.count("rd.info"), words.count("log_buf_len=1M")) == (1, 1)


def test_host_name(console: Console) -> None:
    assert console.check("hostname").strip() == "testimage"
    assert console.check("cat /etc/hostname; echo .").strip() == "testimage."


def test_fstab_mounts_what_was_configured(console: Console) -> None:
    mounts = console.check("findmnt --fstab --noheadings --output TARGET,FSTYPE,OPTIONS --raw").splitlines()
    assert mounts == ["/ ext4 defaults", "/boot/efi vfat umask=0077", "/var/lib/trident ext4 defaults"]
    for target in ("/", "/boot/efi", "/var/lib/trident"):
        console.check(f"findmnt --mountpoint {target}")
    console.check("findmnt --verify --verbose")


def test_filesystems_fill_their_partitions(console: Console) -> None:
    # A COSI carries the root filesystem at its smallest; on the disk it has grown to the partition again.
    size = int(console.check("df --output=size --block-size=1M / | tail -1"))
    assert size > 3900


def test_second_root_partition_is_there_and_empty(console: Console) -> None:
    console.check("test $(blockdev --getsize64 /dev/vda3) = $((4 * 1024 * 1024 * 1024))")
    assert " TYPE=" not in console.run("blkid -p /dev/vda3").output


def test_enabled_services_run(console: Console) -> None:
    assert console.check("systemctl is-enabled sshd; systemctl is-active sshd").split() == ["enabled", "active"]


def test_nothing_of_the_build_is_left(console: Console) -> None:
    for path in ("/var/cache/dnf", "/var/cache/tdnf", "/var/cache/libdnf5", "/_localrpms", "/etc/resolv.conf.twinroot"):
        assert console.run(f"find {path} -type f | head -1 | grep .").code != 0, path
    assert console.run("grep -rl twinroot /etc/yum.repos.d").output == ""
