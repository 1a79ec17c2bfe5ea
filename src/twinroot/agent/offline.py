"""What a machine is that was made from an image and never installed by the agent (servicing spec, section 14). Pure.

The history that the builder left in the image tells the partitions and file systems, the disk their UUIDs. The result
is the status that an installation would have left.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from twinroot.agent.errors import ServicingError
from twinroot.agent.host_status import HostStatus
from twinroot.agent.states import State
from twinroot.config.host.config import HostConfig
from twinroot.config.host.filesystems import ESP_MOUNT_POINT
from twinroot.config.host.normal import to_yaml
from twinroot.config.host.places import DEFAULT_DATASTORE
from twinroot.config.load_host import parse_host_config
from twinroot.errors import ConfigError
from twinroot.formats.gpt import Table

BY_PARTUUID = "/dev/disk/by-partuuid"
DISK_ID = "disk0"
_LAZY = re.compile(r"([^:,]+):([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})")


@dataclass(frozen=True)
class History:
    """What is needed of a history: the first disk of the last entry that has disks, and what lies on it.

    Objects are as Image Customizer's language has them; keys that are not looked at may be among theirs.
    """

    partitions: Sequence[Mapping[str, Any]]
    filesystems: Sequence[Mapping[str, Any]] = ()
    verity: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class _Volumes:
    """Ids of partitions, and the pairs found so far, in the order in which they are found."""

    ids: frozenset[str]
    pairs: dict[str, tuple[str, str]] = field(default_factory=dict)

    def seen_as(self, device: str) -> str:
        """The id of the pair whose volume A this is; what is no volume A is itself. ServicingError without a B."""
        name = device.removesuffix("-a")
        if name == device or device not in self.ids:
            return device
        if f"{name}-b" not in self.ids:
            message = f"partition '{device}' has no '{name}-b' beside it"
            hint = f"name it with --lazy-partitions {name}-b:UUID when it is made later"
            raise ServicingError("parse-prism-history", message, hint=hint)
        self.pairs[name] = (device, f"{name}-b")
        return name


def parse_history(text: str) -> History:
    """Read a history file; ServicingError when it is none, or no entry has disks."""
    try:
        entries = json.loads(text)
        configs = [_mapping(_mapping(entry).get("config")) for entry in _list(entries)]
        storages = [_mapping(config.get("storage")) for config in configs]
        described = [storage for storage in storages if _list(storage.get("disks"))]
        if not described:
            raise ValueError("no entry has disks; name another history with --history-path")
        storage = described[-1]
        return History(
            tuple(map(_mapping, _list(_mapping(storage["disks"][0]).get("partitions")))),
            tuple(map(_mapping, _list(storage.get("filesystems")))),
            tuple(map(_mapping, _list(storage.get("verity")))),
        )
    except (ValueError, RecursionError) as error:
        raise ServicingError("parse-prism-history", f"the history cannot be used: {error}") from None


def parse_lazy(text: str) -> dict[str, UUID]:
    """The value of `--lazy-partitions`: partitions that are made later, with the UUIDs that they will have."""
    found: dict[str, UUID] = {}
    for item in text.split(","):
        match = _LAZY.fullmatch(item.strip())
        if not match or not match[1].endswith("-b"):
            message = f"'{item}' is not the name of a volume B and a UUID"
            raise ServicingError("invalid-lazy-partition", message, hint="write for example root-b:" + "0" * 8 + "-…")
        if match[1] in found:
            raise ServicingError("invalid-lazy-partition", f"'{match[1]}' is named twice")
        found[match[1]] = UUID(match[2])
    return found


def status_of(
    history: History, table: Table, device: str, lazy: Mapping[str, UUID], datastore: str = DEFAULT_DATASTORE
) -> HostStatus:
    """The status of a machine whose root is on the disk with this partition table.

    `device` is the path that the configuration shall have for the disk. ServicingError where history and disk do not
    fit, and where what comes out is no right configuration.
    """
    try:
        partitions, uuids = _partitions(history, table)
        _add_lazy(partitions, uuids, lazy)
        kept = {} if datastore == DEFAULT_DATASTORE else {"trident": {"datastorePath": datastore}}
        spec = _checked(_storage(history, partitions, device) | kept)
    except KeyError as error:
        raise ServicingError("parse-prism-history", f"something in the history has no {error}") from None
    paths = {name: f"{BY_PARTUUID}/{uuid}" for name, uuid in uuids.items()}
    return HostStatus(
        spec=spec,
        servicing_state=State.PROVISIONED,
        partition_paths=paths,
        ab_active_volume="volume-a",
        disk_uuids={DISK_ID: str(table.disk_uuid)},
    )


def with_injection(status: HostStatus) -> HostStatus:
    """A status that was given ready-made, with the mark that says so."""
    params = {**status.spec.internal_params, "injectedHostStatus": True}
    return status.model_copy(update={"spec": status.spec.model_copy(update={"internal_params": params})})


def esp_mount_point(spec: HostConfig) -> str | None:
    """Where the EFI system partition is mounted; None where the configuration has none."""
    found = (each.mount_point for each in spec.storage.filesystems if each.is_esp)
    return next((place.target for place in found if place), None)


def _partitions(history: History, table: Table) -> tuple[list[dict[str, Any]], dict[str, UUID]]:
    """The partitions for the configuration and their UUIDs: in the order of their numbers, both sides agree."""
    if len(history.partitions) > len(table.partitions):
        message = f"the history has {len(history.partitions)} partitions, the disk {len(table.partitions)}"
        hint = "is this the disk that the image was written to? Partitions to come go into --lazy-partitions"
        raise ServicingError("parse-prism-history", message, hint=hint)
    partitions, uuids = [], {}
    for wanted, there in zip(history.partitions, table.partitions, strict=False):
        name = str(wanted["id"])
        size = wanted.get("size")
        if size is None and wanted.get("end") is not None:
            size = str(there.sectors * table.sector_size)
        kind = "esp" if wanted.get("type") == "esp" else "linux-generic"
        partitions.append({"id": name, "type": kind, "size": "grow" if size is None else str(size)})
        uuids[name] = there.uuid
    return partitions, uuids


def _add_lazy(partitions: list[dict[str, Any]], uuids: dict[str, UUID], lazy: Mapping[str, UUID]) -> None:
    """Add volumes B that are made later; each is like its A."""
    for name, uuid in lazy.items():
        twin = next((each for each in partitions if each["id"] == f"{name.removesuffix('-b')}-a"), None)
        if twin is None or name in uuids:
            why = "is there already" if name in uuids else f"has no '{name.removesuffix('-b')}-a' beside it"
            raise ServicingError("invalid-lazy-partition", f"partition '{name}' {why}")
        partitions.append({**twin, "id": name, "uuid": str(uuid)})
        uuids[name] = uuid


def _storage(history: History, partitions: list[dict[str, Any]], device: str) -> dict[str, Any]:
    """The configuration's storage section, as plain data."""
    volumes = _Volumes(frozenset(each["id"] for each in partitions))
    verity = [_verity(each, volumes) for each in history.verity]
    esps = [each["id"] for each in partitions if each["type"] == "esp"]
    filesystems = []
    for each in history.filesystems:
        place = each.get("mountPoint")
        if not place:
            continue
        place = place if isinstance(place, Mapping) else {"path": place}
        entry = {
            "deviceId": volumes.seen_as(_text(each["deviceId"])),
            "mountPoint": {"path": place["path"], "options": place.get("options") or "defaults"},
        }
        if each["deviceId"] in esps:
            esps.clear()  # only the first is the one that the firmware knows
            if place["path"] != ESP_MOUNT_POINT:
                entry["overrideEspMount"] = "override"
        filesystems.append(entry)
    pairs = [{"id": name, "volumeAId": a, "volumeBId": b} for name, (a, b) in volumes.pairs.items()]
    disk = {"id": DISK_ID, "device": device, "partitionTableType": "gpt", "partitions": partitions}
    storage: dict[str, Any] = {"disks": [disk], "filesystems": filesystems}
    storage |= {"abUpdate": {"volumePairs": pairs}} if pairs else {}
    return {"storage": storage | ({"verity": verity} if verity else {})}


def _verity(device: Mapping[str, Any], volumes: _Volumes) -> dict[str, Any]:
    data, hashes = _text(device["dataDeviceId"]), _text(device["hashDeviceId"])
    if data.endswith("-a") != hashes.endswith("-a"):
        message = f"of '{data}' and '{hashes}', data and hashes of a verity device, only one is a volume A"
        raise ServicingError("parse-prism-history", message)
    found = {"id": device["id"], "name": device["name"]}
    found |= {"dataDeviceId": volumes.seen_as(data), "hashDeviceId": volumes.seen_as(hashes)}
    option = device.get("corruptionOption")
    return found | ({"corruptionOption": option} if option else {})


def _checked(data: dict[str, Any]) -> HostConfig:
    try:
        return parse_host_config(to_yaml(data), "the host configuration that follows from the history").config
    except ConfigError as error:
        hint = "the history must describe the disk of this machine; name another one with --history-path"
        message = "\n".join(str(problem) for problem in error.problems)
        raise ServicingError("invalid-host-configuration-static", message, hint=hint) from None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ServicingError("parse-prism-history", f"{json.dumps(value)[:40]} is no text")
    return value


def _mapping(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"an object is missing where {json.dumps(value)[:40]} stands")
    return value


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError(f"a list is missing where {json.dumps(value)[:40]} stands")
    return value
