"""The example A/B image, from the base image to a login prompt: the tutorial's result, checked from inside."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import yaml
from tests.images import AB_CONFIG, BASE_RPM, agent_rpms, built, customize
from tests.vm.hardware import QUICK

from twinroot.events import silent
from twinroot.output.bootable import bootable_disk
from twinroot.vm.console import Console
from twinroot.vm.machine import Machine

pytestmark = [pytest.mark.vm, pytest.mark.images, pytest.mark.packages]

_INSTALLED = (
    "grub2-efi-binary-noprefix", "curl", "dnf", "efibootmgr", "iproute", "iptables", "lsof", "mdadm", "netplan",
    "openssh-server", "tpm2-tools", "trident-service", "vim", "audit",
)  # fmt: skip


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """The booted image's console, logged in; built and booted once for all tests of this file."""
    scratch = tmp_path_factory.mktemp("ab-image")
    image = scratch / "image.cosi"
    sources = ["--rpm-source", agent_rpms()]
    done = customize(AB_CONFIG, built(BASE_RPM), image, scratch / "build", *sources, output_format="cosi")
    assert done.code == 0, done.stderr
    disk = bootable_disk(image, scratch, silent)
    options = replace(QUICK, network=True)
    with Machine(disk.path, disk.qemu_format, options, log_file=scratch / "console.log") as machine:
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
    console.run("systemctl is-system-running --wait", timeout=300)
    for name in ("sshd", "trident"):
        found = console.check(f"systemctl is-enabled {name}; systemctl is-active {name}").split()
        assert (name, found) == (name, ["enabled", "active"])


def test_agent_has_nothing_to_do_until_it_knows_the_machine(console: Console) -> None:
    console.run("systemctl is-system-running --wait", timeout=300)
    assert "Nothing to do" in console.check("journalctl --unit trident --no-pager")


def test_agent_is_told_what_the_machine_is(console: Console) -> None:
    console.check("trident offline-initialize --disk /dev/vda", timeout=300)
    status = yaml.safe_load(console.check("trident get status"))
    assert (status["servicingState"], status["abActiveVolume"]) == ("provisioned", "volume-a")
    assert sorted(status["partitionPaths"]) == ["esp", "root-a", "root-b", "trident"]
    devices = [console.check(f"readlink -e {status['partitionPaths'][name]}").strip() for name in
               ("esp", "root-a", "root-b", "trident")]  # fmt: skip
    assert devices == ["/dev/vda1", "/dev/vda2", "/dev/vda3", "/dev/vda4"]
    assert console.check("ls /boot/efi/EFI/AZLA").split() == ["bootx64.efi", "grub.cfg", "grubx64.efi"]
    console.check("cd /boot/efi/EFI/AZLA && sha256sum * > /tmp/sums && cd ../BOOT && sha256sum --check /tmp/sums")
    # There must be room for the boot files of the other half, as soon as the slot's twin of grub is gone.
    assert int(console.check("df --output=avail --block-size=1K /boot/efi | tail -1")) > 1200
    again = console.run("trident offline-initialize --disk /dev/vda 2>&1")
    assert (again.code, "nothing is changed" in again.output) == (0, True)
    console.check("systemctl restart trident")
    assert "No servicing is in progress" in console.check("journalctl --unit trident --no-pager")
    spent = console.check("bash -c 'TIMEFORMAT=%R; time trident get >/dev/null' 2>&1").split()[-1]
    print(f"trident get takes {spent} s")


def test_nothing_of_the_build_is_left(console: Console) -> None:
    for path in ("/var/cache/dnf", "/var/cache/tdnf", "/var/cache/libdnf5", "/_localrpms", "/etc/resolv.conf.twinroot"):
        assert console.run(f"find {path} -type f | head -1 | grep .").code != 0, path
    assert console.run("grep -rl twinroot /etc/yum.repos.d").output == ""
