"""`os.imageHistory`: what was done to the image, run by run, without secrets (image behaviour spec §15).

/usr/share/image-customizer/history.json is an array with one object for each run: when, with which version, which image
id, and the configuration that was asked for, its package lists read in. Values stand as they were written. Of files
that were copied the hash is noted. Passwords, their hashes and SSH keys are left out.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from twinroot import __version__
from twinroot.config.document import Items, Node, Scalar
from twinroot.config.image.file import ConfigFile
from twinroot.config.section import Section
from twinroot.customize.image_release import BuildStamp
from twinroot.errors import InputError
from twinroot.sandbox.paths import place_file, read_text, resolve_inside

log = logging.getLogger(__name__)

HISTORY_FILE = "/usr/share/image-customizer/history.json"
REDACTED = "[redacted]"
_LISTS = ("installLists", "removeLists", "updateLists")


def write_history(root: Path, file: ConfigFile, stamp: BuildStamp, *, replace_last: bool = False) -> None:
    """Append this run, or put it in place of the last one, when that made the tree that this one goes on with.

    Nothing happens where the directory cannot be written to, as on a verity device that is kept.
    """
    place = resolve_inside(root, HISTORY_FILE)
    directory = next(each for each in place.parents if each.is_dir())
    if os.statvfs(directory).f_flag & os.ST_RDONLY:
        log.warning("No history is written: %s of the image is read-only", HISTORY_FILE)
        return
    entry = {
        "timestamp": stamp.date,
        "toolVersion": __version__,
        "imageUuid": str(stamp.image_id),
        "config": recorded_config(file),
    }
    place_file(root, HISTORY_FILE, append_entry(read_text(root, HISTORY_FILE), entry, replace_last=replace_last))


def append_entry(text: str | None, entry: Mapping[str, object], *, replace_last: bool = False) -> str:
    """The file with one more entry, or another last one; in ASCII, as names of files need not be UTF-8.

    InputError when what is there is no history.
    """
    try:
        entries = json.loads(text) if text else []
        if not isinstance(entries, list):
            raise ValueError("it is not a list")
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{HISTORY_FILE} of the base image is damaged: {error}",
            hint="remove it from the base image, or write none with os.imageHistory: none",
        ) from error
    kept = entries[:-1] if replace_last else entries
    return json.dumps([*kept, entry], indent=1) + "\n"


def recorded_config(file: ConfigFile) -> dict[str, Any]:
    """The configuration as it is recorded: typed values, lists read in, hashes added, secrets taken out."""
    found = _typed(file.document.root, file.config)
    config: dict[str, Any] = found if isinstance(found, dict) else {}
    wanted = config.get("os")
    if isinstance(wanted, dict):
        _read_in_lists(wanted, file)
        for user in wanted.get("users", ()):
            _redact(user)
        for item in wanted.get("additionalFiles", ()):
            _add_hash(item, "source", file)
        for item in wanted.get("additionalDirs", ()):
            item["sha256hashmap"] = dict(_hashes(file.resolve(item["source"])))
    for scripts in (config.get("scripts") or {}).values():
        for script in scripts:
            _add_hash(script, "path", file)
    left = _without_empty(config)
    return left if isinstance(left, dict) else {}


def _typed(node: Node, value: object) -> object:
    """A node's text where the model has text, and JSON's booleans and numbers where the model has those."""
    if isinstance(node, Scalar):
        if isinstance(value, bool):
            return value
        return value if isinstance(value, int) and str(value) == node.text else node.text
    if isinstance(node, Items):
        values: Sequence[object] = value if isinstance(value, tuple) else ()
        padded = [*values, *[None] * (len(node.items) - len(values))]
        return [_typed(item, below) for item, below in zip(node.items, padded, strict=False)]
    return {key: _typed(below, _field(value, key)) for key, below in node.values.items()}


def _field(value: object, key: str) -> object:
    if isinstance(value, Section):
        fields = type(value).model_fields.items()
        return next((getattr(value, name) for name, field in fields if (field.alias or name) == key), None)
    return value.get(key) if isinstance(value, dict) else None


def _read_in_lists(wanted: dict[str, Any], file: ConfigFile) -> None:
    packages = wanted.get("packages")
    if isinstance(packages, dict):
        changes = file.packages
        kept = {key: value for key, value in packages.items() if key not in _LISTS}
        wanted["packages"] = kept | {
            "install": list(changes.install),
            "remove": list(changes.remove),
            "update": list(changes.update),
        }


def _redact(user: dict[str, Any]) -> None:
    """Take secrets out; of a password in a file, the path of the file stays."""
    if user.get("sshPublicKeys"):
        user["sshPublicKeys"] = [REDACTED for _ in user["sshPublicKeys"]]
    password = user.get("password")
    if isinstance(password, dict) and not str(password.get("type")).endswith("-file") and "value" in password:
        password["value"] = REDACTED


def _add_hash(item: dict[str, Any], key: str, file: ConfigFile) -> None:
    item.pop("sha256hash", None)
    if item.get(key):
        item["sha256hash"] = _hash(file.resolve(item[key]))


def _hashes(directory: Path) -> Iterator[tuple[str, str]]:
    """Every plain file below a directory with its hash, by its path relative to that, sorted."""
    for path in sorted(directory.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(directory)), _hash(path)


def _hash(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error


def _without_empty(value: object) -> object:
    """Without members that are empty or not set; items of lists stay."""
    if isinstance(value, dict):
        below = {key: _without_empty(each) for key, each in value.items()}
        return {key: each for key, each in below.items() if each not in (None, "", [], {})}
    return [_without_empty(each) for each in value] if isinstance(value, list) else value
