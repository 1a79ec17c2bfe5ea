"""`trident stream-disk`: an image onto a whole disk, as it is, and nothing configured (servicing spec, section 17.5).

    safety check ─▶ image ─▶ disk ─▶ (the table is wiped) ─▶ images ─▶ file systems grow ─▶ partition table

Neither the machine's status nor the firmware's variables are touched: the disk starts by its own fallback, and knows
what it is by its image history alone.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from twinroot.agent.boot import fat_files
from twinroot.agent.boot.esp_plan import FALLBACK, efi_architecture
from twinroot.agent.errors import ServicingError
from twinroot.agent.servicing import boot, machine
from twinroot.agent.servicing.agent import Agent
from twinroot.agent.servicing.image import opened
from twinroot.agent.servicing.install import check_may_install, eject_medium
from twinroot.agent.servicing.stage import check_architecture
from twinroot.agent.storage.disk_facts import candidates, disk_facts, foreign_uuids
from twinroot.agent.storage.whole_disk import WholeDisk, check_disk, choose_disk, plan_whole_disk
from twinroot.agent.storage.whole_disk_write import needed_programs, write_whole_disk
from twinroot.config.host.config import HostConfig
from twinroot.config.host.scalars import sha384
from twinroot.config.scalars import ScalarError
from twinroot.events import phase
from twinroot.formats.cosi.layout import disk_table, placed_images
from twinroot.formats.cosi.reader import CosiFile
from twinroot.tools.run import require
from twinroot.units import exact

log = logging.getLogger(__name__)

_IN_MEMORY = ("rootfs", "ramfs", "tmpfs", "overlay")
"""File systems at / of installers: an initrd, or a live medium below a layer in memory."""


@dataclass(frozen=True)
class StreamOrder:
    """Which image, by URL and hash of its metadata (or `ignored`), goes onto which disk; None: any that fits."""

    url: str
    sha384: str
    disk: Path | None = None


def expected_sha384(text: str) -> str:
    """The digits of `sha384:<digits>`, whose prefix may be missing, or `ignored`. ServicingError for all else. Pure."""
    kind, colon, digits = text.rpartition(":")
    if text == "ignored":
        return text
    if colon and kind != "sha384":
        message = f"'{kind}' is no kind of hash that is known here"
        raise ServicingError("unsupported-hash-kind", message, hint="write it as sha384:<96 digits>, or ignored")
    try:
        return sha384(digits)
    except ScalarError as error:
        raise ServicingError("unsupported-hash-kind", error.message, hint=error.hint) from error


def stream_disk(agent: Agent, order: StreamOrder) -> str:
    """Write the image onto a disk; the hash of its metadata. ServicingError and other TwinrootErrors.

    Nothing is written before everything that can be known was checked. After an error that comes later the disk has no
    partition table, so that nothing starts from it.
    """
    check_may_install(HostConfig(), multiboot=False)
    if order.disk is None:
        _check_choice()
    with opened(order.url, order.sha384, name="its hash") as cosi:
        check_architecture(cosi.metadata)
        plan = _plan(cosi, order.disk)
        require(needed_programs(plan))
        if machine.starts_by_efi():
            _check_loader(cosi)
        log.info("Writing the image onto %s", plan.device)
        total = sum(placed.image.uncompressed_size for placed in plan.images)
        with phase(agent.emit, "images", "Writing images", total=total) as advance:
            written = write_whole_disk(cosi, plan, advance=advance)
        log.info("%d bytes of images were written, %d were there already", written.written, written.kept)
        eject_medium()
        return cosi.metadata_sha384


def _check_choice() -> None:
    """ServicingError where a disk that nobody uses may still be wanted: this system lives on disks itself."""
    found = machine.root_filesystem()
    if found not in _IN_MEMORY:
        message = f"no disk is chosen by itself, as this system does not run from memory ({found} is mounted at /)"
        raise ServicingError(
            "clean-install-safety-check", message, hint="name the disk, with trident stream-disk --disk"
        )


def _plan(cosi: CosiFile, disk: Path | None) -> WholeDisk:
    table = disk_table(cosi)
    images = placed_images(cosi, table)
    others = candidates()
    if disk:
        facts = disk_facts(disk)
        check_disk(facts, table)
    else:
        facts = choose_disk(others, table)
        log.info("Of the disks that the image fits onto, %s is the smallest (%s)", facts.device, exact(facts.size))
    # Of two partitions with one UUID, udev knows one.
    tables = [each.facts.table for each in others if each.facts.device != facts.device]
    foreign = foreign_uuids([facts]) | {entry.uuid for each in tables if each for entry in each.partitions}
    return plan_whole_disk(facts, table, images, cosi.metadata, foreign, efi=machine.starts_by_efi())


def _check_loader(cosi: CosiFile) -> None:
    """ServicingError unless the firmware finds something to start, without an entry of its own for it."""
    wanted = f"boot{efi_architecture(cosi.metadata.os_arch)}.efi"
    boot.RUN.mkdir(parents=True, exist_ok=True)
    with boot.esp_content(cosi, boot.RUN) as content:
        there = fat_files.names(content, fat_files.locate(content, FALLBACK))
    if wanted not in map(str.lower, there):
        message = f"nothing can start from this image: its EFI system partition has no {FALLBACK}/{wanted}"
        raise ServicingError("derive-host-configuration", message)
