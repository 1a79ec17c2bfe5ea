"""What may lie upon what (host-config spec, sections 6.2 to 6.4). Pure.

Each rule looks only at what the rules before it leave standing, so one mistake is one finding.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

from twinroot.config.checks import Rule
from twinroot.config.host.config import HostConfig
from twinroot.config.host.graph import Device, Graph, Kind, Referrer, Target, graph_of
from twinroot.config.host.scalars import usual_spelling
from twinroot.config.problems import Finding, KeyPath, did_you_mean, one_of, quoted, show_path
from twinroot.config.section import UnreadableError

_MANY = 1000


@dataclass(frozen=True)
class Allowed:
    """What a kind of referrer may lie on: kinds of devices, and how many of them."""

    kinds: tuple[Kind, ...]
    least: int = 1
    most: int = 1


ALLOWED: dict[Kind, Allowed] = {
    Kind.RAID: Allowed((Kind.PARTITION,), 2, _MANY),
    Kind.PAIR: Allowed((Kind.PARTITION, Kind.RAID, Kind.ENCRYPTED), 2, 2),
    Kind.ENCRYPTED: Allowed((Kind.PARTITION, Kind.RAID)),
    Kind.VERITY: Allowed((Kind.PARTITION, Kind.RAID, Kind.PAIR), 2, 2),
    Kind.SWAP: Allowed((Kind.PARTITION, Kind.ENCRYPTED)),
    Kind.NEW: Allowed((Kind.PARTITION, Kind.RAID, Kind.PAIR, Kind.ENCRYPTED), 0),
    Kind.IMAGE: Allowed((Kind.PARTITION, Kind.RAID, Kind.PAIR, Kind.ENCRYPTED, Kind.VERITY)),
    Kind.ESP: Allowed((Kind.PARTITION, Kind.ADOPTED, Kind.RAID)),
    Kind.KEPT: Allowed((Kind.ADOPTED,)),
}


def unique_ids(config: HostConfig) -> Iterator[Finding]:
    """Ids are unique over all kinds of devices."""
    graph = graph_of(config.storage)
    for device in graph.devices:
        first = graph.by_id[device.id]
        if first is not device:
            hint = f"ids are shared by all devices; it is first used at {show_path(first.path)}"
            message = f"the id {quoted(device.id)} is already used"
            yield Finding((*device.path, "id"), message, hint, code="duplicate-device-id")


def unique_values(config: HostConfig) -> Iterator[Finding]:
    """Names, labels and UUIDs by which devices are found are unique."""
    for kind, key in _UNIQUE:
        seen: set[str] = set()
        for device in graph_of(config.storage).devices:
            value = _value(device, key) if device.kind is kind else None
            if value is None:
                continue
            if value in seen:
                message = f"{key} {quoted(value)} is already used by another {kind}"
                yield Finding((*device.path, key), message, code="unique-field-constraint-error")
            seen.add(value)


def _value(device: Device, key: str) -> str | None:
    """The value of a key of a device, paths in their usual spelling; None where it is not set, or wrong."""
    name = next(field for field, info in type(device.section).model_fields.items() if info.alias == key)
    with suppress(UnreadableError):
        value = cast("str | None", getattr(device.section, name))
        return usual_spelling(value) if value and key == "device" else value
    return None


_UNIQUE = (
    (Kind.DISK, "device"),
    (Kind.PARTITION, "uuid"),
    (Kind.ADOPTED, "matchLabel"),
    (Kind.ADOPTED, "matchUuid"),
    (Kind.RAID, "name"),
    (Kind.ENCRYPTED, "deviceName"),
    (Kind.VERITY, "name"),
)


def mount_paths(config: HostConfig) -> Iterator[Finding]:
    """A mount point is used once, and there is one EFI system partition."""
    seen: set[str] = set()
    esp: KeyPath | None = None
    for index, filesystem in enumerate(config.storage.filesystems):
        path: KeyPath = ("storage", "filesystems", index)
        with suppress(UnreadableError):
            if filesystem.mount_point:
                target = filesystem.mount_point.target
                if target in seen:
                    message = f"the mount point {quoted(target)} is already used"
                    yield Finding((*path, "mountPoint", "path"), message, code="duplicate-mount-point")
                seen.add(target)
        with suppress(UnreadableError):
            if filesystem.is_esp:
                if esp is not None:
                    message = f"there is already an EFI system partition: {show_path(esp)}"
                    hint = "write overrideEspMount: block for one of them"
                    yield Finding(path, message, hint, code="filesystem-esp-multiple")
                esp = esp or path


def references(config: HostConfig) -> Iterator[Finding]:
    """What is referred to exists, is of a kind that fits, and is there as often as needed."""
    graph = graph_of(config.storage)
    for referrer in graph.referrers:
        with suppress(UnreadableError):
            yield from _references(graph, referrer)


def _references(graph: Graph, referrer: Referrer) -> Iterator[Finding]:
    least = ALLOWED[referrer.kind].least
    seen: set[str] = set()
    if referrer.kind is Kind.RAID and len(referrer.targets) < least:
        message = f"a RAID array needs at least {least} devices"
        yield Finding((*referrer.path, "devices"), message, code="invalid-target-count")
    for target in referrer.targets:
        if target.id in seen:
            message = f"the device {quoted(target.id)} is given twice"
            yield Finding(target.path, message, code="duplicate-target-id")
            continue
        seen.add(target.id)
        with suppress(UnreadableError):
            if graph.find(target.id) is None:
                yield _missing(graph, referrer, target)
            else:
                yield from _wrong_kind(graph, referrer, target)


def _missing(graph: Graph, referrer: Referrer, target: Target) -> Finding:
    fitting = [device.id for device in graph.by_id.values() if device.kind in ALLOWED[referrer.kind].kinds]
    message = f"there is no device with the id {quoted(target.id)}"
    return Finding(target.path, message, did_you_mean(target.id, fitting), code="non-existent-reference")


def _wrong_kind(graph: Graph, referrer: Referrer, target: Target) -> Iterator[Finding]:
    kind = graph.by_id[target.id].kind
    allowed = ALLOWED[referrer.kind].kinds
    if kind not in allowed:
        message = f"{_a(referrer.kind)} cannot be on {quoted(target.id)}, {_a(kind)}"
        special = "invalid-special-reference-kind" if referrer.kind is Kind.VERITY else "invalid-reference-kind"
        yield Finding(target.path, message, f"use {one_of(map(_a, allowed))}", code=special)


def _a(kind: Kind) -> str:
    return f"{'an' if kind[0] in 'AEaeio' else 'a'} {kind}"


def sharing(config: HostConfig) -> Iterator[Finding]:
    """Every device is used once."""
    graph = graph_of(config.storage)
    users: dict[str, Referrer] = {}
    for referrer in graph.referrers:
        with suppress(UnreadableError):
            for target in referrer.targets:
                first = users.setdefault(target.id, referrer)
                if first is not referrer and target.id in graph.by_id:
                    message = f"the device {quoted(target.id)} is already used by {show_path(first.path)}"
                    yield Finding(target.path, message, code="referrer-forbidden-sharing")


def same_kinds(config: HostConfig) -> Iterator[Finding]:
    """What a device lies on is all of one kind."""
    graph = graph_of(config.storage)
    for referrer in sound_referrers(graph):
        first, *others = (graph.by_id[target.id] for target in referrer.targets)
        for target, other in zip(referrer.targets[1:], others, strict=True):
            if other.kind is not first.kind:
                message = f"{quoted(target.id)} is {_a(other.kind)}, but {quoted(first.id)} is {_a(first.kind)}"
                yield Finding(target.path, message, "use two of the same kind", code="reference-kind-mismatch")


def raid_of_esp(config: HostConfig) -> Iterator[Finding]:
    """The firmware can read an EFI system partition only on a mirror."""
    graph = graph_of(config.storage)
    for referrer in sound_referrers(graph):
        device = graph.by_id[referrer.targets[0].id]
        with suppress(UnreadableError):
            level = getattr(device.section, "level", "raid1")
            if referrer.kind is Kind.ESP and level != "raid1":
                message = f"an EFI system partition cannot be on a RAID array of level {level}"
                yield Finding(referrer.targets[0].path, message, "use raid1", code="invalid-raidlevel")


def sound_referrers(graph: Graph) -> Iterator[Referrer]:
    """Referrers whose references exist and are of allowed kinds: what rules about sizes and types look at."""
    for referrer in graph.referrers:
        with suppress(UnreadableError):
            kinds = [graph.by_id[target.id].kind for target in referrer.targets if target.id in graph.by_id]
            allowed = ALLOWED[referrer.kind].kinds
            if referrer.targets and len(kinds) == len(referrer.targets) and all(kind in allowed for kind in kinds):
                yield referrer


GRAPH_RULES: tuple[Rule[HostConfig], ...] = (
    mount_paths,
    unique_ids,
    unique_values,
    references,
    sharing,
    same_kinds,
    raid_of_esp,
)
