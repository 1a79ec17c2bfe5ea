"""Sizes and types of the partitions below devices (host-config spec, section 6.3). Pure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from twinroot.config.checks import Rule
from twinroot.config.host.config import HostConfig
from twinroot.config.host.disks import ACL_USR, TYPE_NAMES, Partition, type_name
from twinroot.config.host.filesystems import ESP_MOUNT_POINT, Filesystem
from twinroot.config.host.graph import Graph, Kind, Referrer, Target, graph_of
from twinroot.config.host.graph_rules import sound_referrers
from twinroot.config.problems import Finding, one_of, quoted
from twinroot.config.section import UnreadableError

_SAME_SIZE = (Kind.RAID, Kind.PAIR)
_SAME_TYPE = (Kind.RAID, Kind.PAIR)
_VERITY_DATA = ("root", "usr", "linux-generic", ACL_USR)
_VERITY_HASHES = ("root-verity", "usr-verity", "linux-generic")
_HASHES_OF = {"root": ("root-verity",), "usr": ("usr-verity",), ACL_USR: ("usr-verity",)}
_FORBIDDEN = {
    Kind.ENCRYPTED: ("esp", "root", "root-verity", "usr-verity", "home"),
    Kind.NEW: ("esp",),
}
_REQUIRED = {Kind.SWAP: "swap", Kind.ESP: "esp"}

EXPECTED_MOUNTS: dict[str, tuple[str, ...]] = {
    "esp": ("/boot", "/efi", "/boot/efi"),
    "root": ("/",),
    "home": ("/home",),
    "var": ("/var",),
    "usr": ("/usr",),
    "tmp": ("/var/tmp",),
    "srv": ("/srv",),
    "xbootldr": ("/boot",),
    "swap": (),
    "root-verity": (),
    "usr-verity": (),
}
"""Where a file system on a partition of a type is expected; types that are not here, anywhere."""


def sizes(config: HostConfig) -> Iterator[Finding]:
    """Members of arrays and halves of pairs have the same fixed size."""
    graph = graph_of(config.storage)
    for referrer in _of_kinds(graph, _SAME_SIZE):
        first: int | None = None
        for target in referrer.targets:
            with suppress(UnreadableError):
                found = {each.size for each in _new_partitions(graph, target)}
                if "grow" in found:
                    message = f"{quoted(target.id)} is on a partition that grows, but must have a fixed size"
                    yield Finding(target.path, message, "give the partition a size", code="partition-size-not-fixed")
                    continue
                size = next((each for each in found if isinstance(each, int)), None)
                if first is not None and size is not None and size != first:
                    message = f"{quoted(target.id)} is not of the same size as {quoted(referrer.targets[0].id)}"
                    yield Finding(target.path, message, code="partition-size-mismatch")
                first = first or size


def types(config: HostConfig) -> Iterator[Finding]:
    """Partitions are of types that fit what is on them."""
    graph = graph_of(config.storage)
    for referrer in sound_referrers(graph):
        with suppress(UnreadableError):
            if referrer.kind is Kind.VERITY:
                yield from _verity_types(graph, referrer)
                continue
            for target in referrer.targets:
                for found in sorted(_types(graph, target)):
                    yield from _wrong_type(referrer, target, found)
            if referrer.kind in _SAME_TYPE:
                yield from _same_types(graph, referrer)


def _wrong_type(referrer: Referrer, target: Target, found: str) -> Iterator[Finding]:
    wanted = _REQUIRED.get(referrer.kind)
    section = referrer.section
    if wanted is None and isinstance(section, Filesystem) and section.mount_point:
        wanted = "esp" if section.mount_point.target == ESP_MOUNT_POINT else None
    if wanted and found != wanted:
        message = f"{quoted(target.id)} must be of type {wanted}, but is of type {found}"
        yield Finding(target.path, message, code="invalid-partition-type")
    elif found in _FORBIDDEN.get(referrer.kind, ()):
        message = f"{quoted(target.id)} is of type {found}, which is not allowed for this"
        yield Finding(target.path, message, code="invalid-partition-type")


def _same_types(graph: Graph, referrer: Referrer) -> Iterator[Finding]:
    first = _types(graph, referrer.targets[0])
    for target in referrer.targets[1:]:
        found = _types(graph, target)
        if found and first and found != first:
            kinds = f"{one_of(sorted(found))}, not {one_of(sorted(first))}"
            message = f"{quoted(target.id)} is not of the same type as {quoted(referrer.targets[0].id)}: {kinds}"
            yield Finding(target.path, message, code="partition-type-mismatch")


def _verity_types(graph: Graph, referrer: Referrer) -> Iterator[Finding]:
    data, hashes = referrer.targets
    right = True
    for target, allowed in ((data, _VERITY_DATA), (hashes, _VERITY_HASHES)):
        for found in sorted(_types(graph, target) - set(allowed)):
            right = False
            message = f"{quoted(target.id)} is of type {found}, which is not allowed for this"
            names = one_of(name for name in allowed if name in TYPE_NAMES)
            yield Finding(target.path, message, f"use {names}", code="invalid-partition-type-special")
    for found in sorted(_types(graph, data)) if right else ():
        wanted = _HASHES_OF.get(found, _VERITY_HASHES)
        for other in sorted(_types(graph, hashes) - set(wanted)):
            message = f"hashes for data on a partition of type {found} must be of type {one_of(wanted)}, not {other}"
            yield Finding(hashes.path, message, code="invalid-verity-hash-partition-type")


def expected_mounts(config: HostConfig) -> Iterator[Finding]:
    """A warning: a file system is mounted elsewhere than its partition type says."""
    graph = graph_of(config.storage)
    for referrer in sound_referrers(graph):
        section = referrer.section
        if not isinstance(section, Filesystem) or section.mount_point is None:
            continue
        mounted = section.mount_point.target
        for found in sorted(_mounted_types(graph, referrer.targets[0])):
            expected = EXPECTED_MOUNTS.get(found)
            if expected is not None and mounted not in expected:
                where = f"at {one_of(expected)}" if expected else "nowhere"
                message = f"a partition of type {found} is expected {where}, not at {quoted(mounted)}"
                yield Finding((*referrer.path, "mountPoint", "path"), message)


def _mounted_types(graph: Graph, target: Target) -> set[str]:
    """Types of the partitions with the content of a file system: for verity, those with data."""
    device = graph.by_id[target.id]
    return _types(graph, graph.targets_of(device.id)[0] if device.kind is Kind.VERITY else target)


def _of_kinds(graph: Graph, kinds: tuple[Kind, ...]) -> Iterator[Referrer]:
    return (referrer for referrer in sound_referrers(graph) if referrer.kind in kinds)


def _new_partitions(graph: Graph, target: Target) -> Iterator[Partition]:
    for device in graph.partitions(target.id):
        if isinstance(device.section, Partition):
            yield device.section


def _types(graph: Graph, target: Target) -> set[str]:
    """The types of the new partitions below; nobody knows here those of adopted ones."""
    return {type_name(found.type) for found in _new_partitions(graph, target)}


PARTITION_RULES: tuple[Rule[HostConfig], ...] = (sizes, types)
