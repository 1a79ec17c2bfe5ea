"""Machines that start by unified kernels: updated there and back, failing, rolled back; and one that comes from grub.

What systemd-boot is told is looked at after each step (agent/boot/ukis.py).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from tests.once import made_once
from tests.unit.agent.storage.range_server import RangeServer
from tests.vm.servicing import (
    HOST_CONFIGURATION,
    UPDATE_TIMEOUT,
    Builder,
    Image,
    Serviced,
    about,
    await_start,
    begin_and_await,
    first_start,
    host_configuration,
    image_in,
    serving,
    settled,
    status,
    switch_off,
    version,
    write_file,
)
from tests.vm.uki_images import ESP_SIZE, unified

from twinroot.vm.console import Console
from twinroot.vm.machine import Machine

pytestmark = [pytest.mark.vm, pytest.mark.soak, pytest.mark.images, pytest.mark.packages, pytest.mark.timeout(5400)]

_KERNELS = "ls /boot/efi/EFI/Linux /boot/efi/loader/entries 2> /dev/null"
_ESP = "find /boot/efi -type f | sort | xargs sha256sum; efibootmgr | grep -v BootCurrent"
_VARIABLE = "cat /sys/firmware/efi/efivars/{}-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f 2> /dev/null | tr -cd '[:print:]'"


@dataclass(frozen=True)
class KernelImages:
    """Two images that start by unified kernels, one whose kernel finds no init, and the first one with grub."""

    first: Image
    second: Image
    broken: Image
    grub: Image


@pytest.fixture(scope="module")
def kernel_images(tmp_path_factory: pytest.TempPathFactory) -> KernelImages:
    """The images, for all processes of a test run."""

    def make(place: Path) -> None:
        source = place / "grub"
        source.mkdir(parents=True)
        builder = Builder(source, esp_size=ESP_SIZE)
        first, second = (builder.image(number) for number in ("1", "2"))
        unified(first, place, "1")
        unified(second, place, "2")
        # Of the first one: the second one runs when it is tried, and two halves of a machine must differ.
        unified(first, place, "broken", "init=/nowhere")
        for folder in ("build", "cache"):
            shutil.rmtree(source / folder)
        (source / "2.cosi").unlink()

    place = made_once(tmp_path_factory, "kernel-images", make)
    broken = image_in(place, "broken")
    return KernelImages(image_in(place, "1"), image_in(place, "2"), broken, image_in(place / "grub", "1"))


@contextmanager
def provisioned(image: Image, place: Path) -> Iterator[Serviced]:
    """A machine with an image, provisioned, and off."""
    machine = first_start(image, place)
    try:
        yield machine
    finally:
        machine.discard()


def told(console: Console, variable: str) -> str:
    """What a variable of systemd-boot says, without its attributes; empty without it."""
    return console.run(_VARIABLE.format(variable)).output.strip()


def kernels(console: Console) -> set[str]:
    """The kernels of the ESP, and the entries of trials."""
    return {name for name in console.run(_KERNELS).output.split() if name.endswith((".efi", ".conf", ".staged"))}


def update(running: Machine, server: RangeServer, image: Image) -> None:
    """Update to an image that is well."""
    write_file(running.console, HOST_CONFIGURATION, host_configuration(server, image))
    begin_and_await(running, "trident update")


def comes_back(running: Machine, command: str) -> None:
    """A command that ends in a start of a system that fails; the machine is on its old one again, and knows why."""
    console, before = running.console, version(running.console)
    half = status(console)["abActiveVolume"]
    console.send(f"{command} -v info\n")
    for _start in ("of the new system", "of the old one"):
        console.wait_for("BdsDxe: starting Boot", timeout=UPDATE_TIMEOUT)
    await_start(running)
    assert about(settled(console)) == ("provisioned", half)
    assert version(console) == before
    last = yaml.safe_load(console.check("trident get last-error -v off"))
    assert last["error"] == "ab-update-reboot-check", last


def test_there_and_back_and_failing(kernel_images: KernelImages, tmp_path: Path) -> None:
    with provisioned(kernel_images.first, tmp_path) as machine:
        with machine.switched_on() as running:
            updates_to_the_other_half(running, kernel_images.second)
            comes_back_from_what_fails(running, kernel_images.broken, kernel_images.first)
            updates_and_goes_back(running, kernel_images.first)
            switch_off(running)
        # The firmware loses its variables. Of both kernels, the newest is not the one that was committed last.
        machine.variables.unlink()
        with machine.switched_on() as running:
            assert told(running.console, "LoaderEntrySelected") == "vmlinuz-100-azlb0.efi"
            assert about(settled(running.console)) == ("provisioned", "volume-b")
            assert "trident.trial" not in running.console.check("cat /proc/cmdline")
            switch_off(running)


def updates_to_the_other_half(running: Machine, second: Image) -> None:
    console = running.console
    came_with = told(console, "LoaderEntrySelected")
    with serving(second) as server:
        update(running, server, second)
    found = settled(console)
    assert about(found) == ("provisioned", "volume-b")
    assert "lastError" not in found
    assert version(console) == "2"
    assert console.check("systemctl is-system-running").strip() == "running"
    assert "trident.trial panic=10" in console.check("cat /proc/cmdline")
    console.check("systemctl is-active trident-trial.timer && test -e /run/trident/trial-over")
    # The commit made it the default, in the firmware and without it, and took the trial away.
    assert told(console, "LoaderEntryDefault") == "vmlinuz-100-azlb0.efi"
    assert told(console, "LoaderEntryOneShot") == ""
    assert kernels(console) == {came_with, "vmlinuz-100-azlb0.efi"}
    assert "default vmlinuz-100-azlb0.efi" in console.check("cat /boot/efi/loader/loader.conf")


def comes_back_from_what_fails(running: Machine, broken: Image, whole: Image) -> None:
    console = running.console
    with serving(broken) as server:
        write_file(console, HOST_CONFIGURATION, host_configuration(server, broken))
        comes_back(running, "trident update")
    assert told(console, "LoaderEntrySelected") == "vmlinuz-100-azlb0.efi"
    assert "trident.trial" not in console.check("cat /proc/cmdline")

    with serving(whole) as server:
        write_file(console, HOST_CONFIGURATION, host_configuration(server, whole))
        console.check("trident update --allowed-operations stage -v info", timeout=UPDATE_TIMEOUT)
        staged = "/boot/efi/EFI/Linux/vmlinuz-0.efi.staged"
        console.check(f"truncate -s $(($(stat -c %s {staged}) / 2)) {staged} && sync {staged}")
        comes_back(running, "trident update --allowed-operations finalize")


def updates_and_goes_back(running: Machine, first: Image) -> None:
    console = running.console
    with serving(first) as server:
        update(running, server, first)
    assert about(settled(console)) == ("provisioned", "volume-a")
    assert version(console) == "1"
    assert kernels(console) == {"vmlinuz-100-azlb0.efi", "vmlinuz-101-azla0.efi"}

    assert console.check("trident rollback --check -v off").strip() == "ab"
    begin_and_await(running, "trident rollback")
    assert about(settled(console)) == ("provisioned", "volume-b")
    assert version(console) == "2"
    assert told(console, "LoaderEntryDefault") == "vmlinuz-100-azlb0.efi"


def test_from_grub_and_back(kernel_images: KernelImages, tmp_path: Path) -> None:
    with (
        provisioned(kernel_images.grub, tmp_path) as machine,
        machine.switched_on() as running,
        serving(kernel_images.second) as server,
    ):
        console = running.console
        # Room for the boot files of grub, and for no kernel.
        console.check("fallocate -l $(($(df --output=avail -B1 /boot/efi | tail -n 1) - 20000000)) /boot/efi/full")
        write_file(console, HOST_CONFIGURATION, host_configuration(server, kernel_images.second))
        before = console.check(_ESP)
        refused = console.run("trident update -v info", timeout=UPDATE_TIMEOUT)
        assert refused.code == 2
        assert "but the boot files of the new system need" in refused.output
        assert console.check(_ESP) == before
        console.check("rm /boot/efi/full")

        update(running, server, kernel_images.second)
        assert about(settled(console)) == ("provisioned", "volume-b")
        assert version(console) == "2"
        assert told(console, "LoaderEntryDefault") == "vmlinuz-100-azlb0.efi"
        begin_and_await(running, "trident rollback")
        assert about(settled(console)) == ("provisioned", "volume-a")
        assert version(console) == "1"
        assert told(console, "LoaderEntrySelected") == ""
        switch_off(running)
