"""What a well-formed document must also satisfy: rules V1 to V18 (COSI spec 9.4), and the stricter ones.

`compat` is what the reference reader accepts; what it ignores although the specification says MUST comes as a
warning. `strict` makes errors of those: the specification (T and G rules, or the number of the section) and what only
the published JSON schema of revision 1.2 says (SCHEMA). Objects of a later revision in an older document are an error
in strict mode: such a document has the wrong version.

One deliberate deviation, in both modes: a verity hash image without a region (V18) is a warning. The reference
reader refuses it, the published schema and its `valid/verity-uki-systemd-boot` sample allow it, and such a file can
be deployed, as the hash tree is found by its path. A filesystem without a region stays an error.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from twinroot.formats.cosi import model
from twinroot.formats.cosi.decode import parse_uuid
from twinroot.formats.cosi.model import Finding
from twinroot.formats.zstd_reader import DEFAULT_WINDOW_LOG, LARGEST_WINDOW_LOG
from twinroot.units import ESP, exact

PREFIX = "images/"
ENTRY_TYPES = ("uki-standalone", "uki-config", "config")
BOOTLOADERS = ("systemd-boot", "grub")
_VARIANT_WITHOUT_PACKAGES = "azurecontainerlinux"
_ROOTHASH = re.compile(r"[0-9a-fA-F]+", re.ASCII)
_HASH_LENGTHS = (40, 64, 96, 128)


def check(metadata: model.Metadata, raw: dict[str, Any], *, strict: bool) -> list[Finding]:
    """Everything that is wrong with a document that was decoded without errors, `raw` being its JSON object."""
    return [*_semantic(metadata), *_specified(metadata, raw, strict)]


def _semantic(metadata: model.Metadata) -> Iterator[Finding]:
    """The errors of the reference reader, with its warnings."""
    for mount_point in _repeated(fs.mount_point for fs in metadata.images):
        yield Finding("V1", "$.images", f"two filesystems are mounted at '{mount_point}'")
    if metadata.version >= (1, 1):
        yield from _bootloader(metadata.bootloader)
        yield from _packages(metadata)
    if metadata.version >= (1, 2):
        if metadata.max_window_log is None:
            yield Finding("V9", "$.compression", "is missing")
        elif metadata.max_window_log > DEFAULT_WINDOW_LOG:
            room = exact(1 << min(metadata.max_window_log, LARGEST_WINDOW_LOG))
            message = f"is {metadata.max_window_log}, for which readers may need {room} of memory"
            yield Finding("C3", "$.compression.maxWindowLog", message, error=False)
        if metadata.disk is None:
            yield Finding("V10", "$.disk", "is missing")
        else:
            yield from _disk(metadata, metadata.disk)


def _bootloader(bootloader: model.Bootloader | None) -> Iterator[Finding]:
    where = "$.bootloader"
    if bootloader is None:
        yield Finding("V2", where, "is missing")
        return
    entries = bootloader.entries
    if bootloader.type == "grub" and entries is not None:
        yield Finding("V3", where, "has a systemdBoot object although its type is grub")
    if bootloader.type != "systemd-boot":
        return
    if entries is None:
        yield Finding("V4", where, "has no systemdBoot object although its type is systemd-boot")
    elif not entries:
        yield Finding("V5", f"{where}.systemdBoot.entries", "is empty")
    else:
        if entries[0].type != "uki-standalone":
            message = f"the first boot entry is of type '{entries[0].type}', so the image does not count as a UKI image"
            yield Finding("V5", f"{where}.systemdBoot.entries[0].type", message, error=False)
        if len(entries) > 1:
            yield Finding("V5", f"{where}.systemdBoot.entries", "only the first boot entry is used", error=False)


def _packages(metadata: model.Metadata) -> Iterator[Finding]:
    if metadata.packages is None:
        if _needs_packages(metadata):
            yield Finding("V8", "$.osPackages", "is missing")
        return
    for index, package in enumerate(metadata.packages):
        where = f"$.osPackages[{index}]"
        if package.release is None:
            yield Finding("V6", f"{where}.release", f"is missing for package '{package.name}'")
        if package.arch is None:
            yield Finding("V7", f"{where}.arch", f"is missing for package '{package.name}'")


def _needs_packages(metadata: model.Metadata) -> bool:
    return metadata.release_field("VARIANT_ID") != _VARIANT_WITHOUT_PACKAGES


def _disk(metadata: model.Metadata, disk: model.Disk) -> Iterator[Finding]:
    where = "$.disk.gptRegions"
    if disk.type != "gpt":
        yield Finding("V11", "$.disk.type", f"must be 'gpt', not '{disk.type}'")
    if not disk.regions:
        yield Finding("V12", where, "is missing or empty")
        return
    if disk.regions[0].type != "primary-gpt":
        yield Finding("V13", f"{where}[0].type", f"must be 'primary-gpt', not '{disk.regions[0].type}'")
    seen: set[int] = set()
    for index, region in enumerate(disk.regions):
        if region.type == "primary-gpt" and index:
            yield Finding("V14", f"{where}[{index}].type", "only the first region can be the primary GPT")
        if region.number is None:
            continue
        if region.number == 0:
            yield Finding("V15", f"{where}[{index}].number", "must be at least 1")
        if region.number in seen:
            yield Finding("V16", f"{where}[{index}].number", f"partition {region.number} appears twice")
        seen.add(region.number)
    yield from _matching(metadata)


def _matching(metadata: model.Metadata) -> Iterator[Finding]:
    """V17 and V18: every filesystem and hash tree is a region too, described in the same words."""
    regions = {region.image.path: region.image for region in metadata.partition_regions()}
    for where, image, is_hash in _used_images(metadata):
        other = regions.get(image.path)
        if other is None:
            what = "the verity hash image" if is_hash else "the image"
            yield Finding("V18", f"{where}.path", f"{what} '{image.path}' is not a partition region", error=not is_hash)
            continue
        for name in ("compressed_size", "uncompressed_size", "sha384"):
            if getattr(other, name) != getattr(image, name):
                yield Finding("V17", where, f"the {name.replace('_', ' ')} differs from that of the region")


def _used_images(metadata: model.Metadata) -> Iterator[tuple[str, model.ImageFile, bool]]:
    for index, filesystem in enumerate(metadata.images):
        yield f"$.images[{index}].image", filesystem.image, False
        if filesystem.verity:
            yield f"$.images[{index}].verity.image", filesystem.verity.image, True


def _specified(metadata: model.Metadata, raw: dict[str, Any], strict: bool) -> Iterator[Finding]:
    """What specification and schema demand and the reference reader does not: errors if strict, else warnings."""
    for rule, where, message in (*_spec_files(metadata), *_spec_root(metadata, raw), *_spec_disk(metadata)):
        yield Finding(rule, where, message, error=strict)
    for index, filesystem in enumerate(metadata.images):
        if filesystem.verity and filesystem.verity.image.path == filesystem.image.path:
            message = "the hash tree lies behind the data, which other readers cannot open"
            yield Finding("3.3", f"$.images[{index}].verity.image", message, error=False)
    if metadata.version > model.CURRENT:
        message = (
            f"version {metadata.version[0]}.{metadata.version[1]} is newer than 1.2, its additions are not checked"
        )
        yield Finding("M4", "$.version", message, error=False)


def _spec_files(metadata: model.Metadata) -> Iterator[tuple[str, str, str]]:
    for where, image, _ in _used_images(metadata):
        yield from _spec_path(where, image)
    for index, region in enumerate(metadata.disk.regions if metadata.disk else ()):
        yield from _spec_path(f"$.disk.gptRegions[{index}].image", region.image)
    yield from _spec_same(metadata)
    for index, filesystem in enumerate(metadata.images):
        where = f"$.images[{index}]"
        if not filesystem.mount_point.startswith("/"):
            yield "3.2", f"{where}.mountPoint", f"'{filesystem.mount_point}' is not an absolute path"
        if not filesystem.fs_uuid:
            yield "3.2", f"{where}.fsUuid", "is empty"
        verity = filesystem.verity
        if verity and not (_ROOTHASH.fullmatch(verity.roothash) and len(verity.roothash) in _HASH_LENGTHS):
            yield "3.3", f"{where}.verity.roothash", "is not a hash in hexadecimal digits"
    for fs_uuid in _repeated(fs.fs_uuid for fs in metadata.images if fs.fs_uuid):
        yield "X3", "$.images", f"two filesystems have the UUID '{fs_uuid}'"
    esps = sum(fs.part_type == ESP for fs in metadata.images)
    if esps != 1:
        yield "A3", "$.images", f"there must be exactly one EFI system partition, but there are {esps}"


def _spec_same(metadata: model.Metadata) -> Iterator[tuple[str, str, str]]:
    """Images without a region, whose descriptions V17 does not compare."""
    regions = {region.image.path for region in metadata.partition_regions()} if metadata.version >= (1, 2) else set()
    first: dict[str, model.ImageFile] = {}
    for where, image, _ in _used_images(metadata):
        if image.path not in regions and first.setdefault(image.path, image) != image:
            yield "3.4", where, f"the sizes or the SHA-384 of '{image.path}' are other ones than before"


def _spec_path(where: str, image: model.ImageFile) -> Iterator[tuple[str, str, str]]:
    if not image.path.startswith(PREFIX) or image.path == PREFIX:
        yield "T11", f"{where}.path", f"'{image.path}' does not lie under '{PREFIX}'"


def _spec_root(metadata: model.Metadata, raw: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    for name, since in (("bootloader", (1, 1)), ("disk", (1, 2)), ("compression", (1, 2))):
        if raw.get(name) is not None and metadata.version < since:
            text = ".".join(map(str, metadata.version))
            yield "M3", "$.version", f"is {text}, but '{name}' exists only since {since[0]}.{since[1]}"
    for index, image in enumerate(raw.get("images", ())):
        if parse_uuid(image["partType"]) is None:
            yield "3.2", f"$.images[{index}].partType", f"'{image['partType']}' is not a UUID"
    if metadata.version >= (1, 2) and metadata.packages is None and not _needs_packages(metadata):
        yield "SCHEMA", "$.osPackages", "is missing"
    bootloader = metadata.bootloader
    if bootloader is None:
        return
    if bootloader.type not in BOOTLOADERS:
        yield "3.8", "$.bootloader.type", f"unknown boot loader '{bootloader.type}'"
    if bootloader.type not in BOOTLOADERS and bootloader.entries is not None:
        yield "3.8", "$.bootloader.systemdBoot", "is only for systemd-boot"
    for index, entry in enumerate(bootloader.entries or ()):
        where = f"$.bootloader.systemdBoot.entries[{index}]"
        if entry.type not in ENTRY_TYPES:
            yield "3.8", f"{where}.type", f"unknown entry type '{entry.type}'"
        if not entry.path.startswith("/"):
            yield "3.8", f"{where}.path", f"'{entry.path}' is not an absolute path"


def _spec_disk(metadata: model.Metadata) -> Iterator[tuple[str, str, str]]:
    disk = metadata.disk
    if disk is None:
        return
    if disk.lba_size not in (512, 4096):
        yield "D4", "$.disk.lbaSize", f"must be 512 or 4096, not {disk.lba_size}"
    elif disk.size % disk.lba_size:
        yield "3.5", "$.disk.size", f"is not a multiple of {disk.lba_size}"
    for index, region in enumerate(disk.regions):
        if region.type not in ("primary-gpt", "partition"):
            yield "SCHEMA", f"$.disk.gptRegions[{index}].type", f"unknown region type '{region.type}'"
    for path in _repeated(region.image.path for region in disk.regions):
        yield "G3", "$.disk.gptRegions", f"two regions share the image '{path}'"


def _repeated(values: Iterator[str]) -> list[str]:
    return [value for value, count in Counter(values).items() if count > 1]
