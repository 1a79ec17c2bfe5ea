"""Statuses of older versions of the peer in today's form (servicing spec, section 2.4). Pure."""

from __future__ import annotations

from typing import Any

from twinroot.agent.errors import ServicingError

_OLD_SOURCES = ("create", "new")


def modernised(status: Any) -> Any:
    """Plain data of a status with its configurations in today's form."""
    if not isinstance(status, dict):
        return status
    specs = {key: _modern_spec(status[key]) for key in ("spec", "specOld") if isinstance(status.get(key), dict)}
    return status | specs


def _modern_spec(spec: dict[str, Any]) -> dict[str, Any]:
    found = dict(spec)
    if "osImage" in found:
        image = found.pop("osImage")
        if isinstance(image, dict):
            found.setdefault("image", {"url": image.get("url"), "sha384": "ignored"})
    if isinstance(found.get("os"), dict) and "network" in found["os"]:
        os = dict(found["os"])
        network = os.pop("network")
        found["os"] = {"netplan": network} | os
    if isinstance(found.get("trident"), dict):
        found["trident"] = {key: value for key, value in found["trident"].items() if key != "selfUpgrade"}
    if isinstance(found.get("storage"), dict):
        found["storage"] = _modern_storage(found["storage"])
    return found


def _modern_storage(storage: dict[str, Any]) -> dict[str, Any]:
    found = dict(storage)
    filesystems = [_modern_filesystem(each) for each in _list(found.get("filesystems"))]
    verity = list(_list(found.get("verity")))
    for number, old in enumerate(_list(found.pop("verityFilesystems", None))):
        name = f"verity{number}"
        verity.append({"id": name, **{key: old.get(key) for key in ("name", "dataDeviceId", "hashDeviceId")}})
        filesystems.append({"deviceId": name, "mountPoint": old.get("mountPoint")})
    return found | {key: value for key, value in (("filesystems", filesystems), ("verity", verity)) if value}


def _modern_filesystem(filesystem: Any) -> Any:
    """A source or type that was a mapping said what today's default says, unless the file system was a new one."""
    if not isinstance(filesystem, dict):
        return filesystem
    source = filesystem.get("source")
    if isinstance(source, dict) and source.get("type") in _OLD_SOURCES:
        message = f"the status is of a version that is too old: a file system with the source {source['type']}"
        raise ServicingError("parse-host-status", message)
    old = {key for key in ("source", "type") if isinstance(filesystem.get(key), dict)}
    return {key: value for key, value in filesystem.items() if key not in old}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
