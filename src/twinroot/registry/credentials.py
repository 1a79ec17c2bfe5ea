"""Who we are to a registry: the files and helper programs in which docker, podman and oras keep credentials.

Read, the first that knows the registry counts: the file that was asked for, else REGISTRY_AUTH_FILE; podman's
`auth.json` (containers-auth.json(5)); docker's `config.json` (in DOCKER_CONFIG or ~/.docker). A key of `auths` is a
host, for podman also a host with the beginning of a repository's name, for docker also a URL. `credHelpers` and
`credsStore` name programs `docker-credential-NAME` (the protocol of docker-credential-helpers).
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twinroot.config.registry_reference import Reference
from twinroot.errors import CommandError, InputError
from twinroot.tools import credential_helper

_MAX_FILE = 1 << 20
# Docker Hub is known by another name in these files.
_HUB = {"docker.io": "index.docker.io", "registry-1.docker.io": "index.docker.io"}


@dataclass(frozen=True)
class Credentials:
    """A user with a password, or a token with which short-lived ones are fetched (`identity_token`)."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)


def auth_files(asked: Path | None = None) -> tuple[Path, ...]:
    """The files to look into, most important first."""
    chosen = asked or _environment_path("REGISTRY_AUTH_FILE")
    if chosen:
        return (chosen,)
    runtime = _environment_path("XDG_RUNTIME_DIR")
    config = _environment_path("XDG_CONFIG_HOME") or Path.home() / ".config"
    found = [runtime / "containers/auth.json"] if runtime else []
    return (*found, config / "containers/auth.json", _docker_file())


def find_credentials(reference: Reference, asked: Path | None = None) -> Credentials | None:
    """The credentials for a repository; None when no file knows the registry. InputError for a broken file."""
    for path in auth_files(asked):
        document = _read(path)
        for key in _keys(reference):
            found = _from_file(document, key, path)
            if found:
                return found
    return None


def save_credentials(registry: str, credentials: Credentials, asked: Path | None = None) -> str:
    """Keep credentials; says where. They go to the helper program that the file names, else into the file (0600)."""
    path = _file_to_write(asked)
    document = _read(path)
    key = _HUB.get(registry, registry)
    helper = _helper(document, key)
    token = credentials.identity_token
    if helper:
        pair = ("<token>", token) if token else (credentials.username, credentials.password)
        credential_helper.store(helper, key, *pair)
        return f"docker-credential-{helper}"
    encoded = base64.b64encode(f"{credentials.username}:{credentials.password}".encode()).decode()
    # The whole entry: an identity token of an earlier login would count more than what is stored now.
    document.setdefault("auths", {})[key] = {"auth": ""} | {"identitytoken": token} if token else {"auth": encoded}
    _write(path, document)
    return str(path)


def remove_credentials(registry: str, asked: Path | None = None) -> list[str]:
    """Forget a registry in every file and helper; says where it was known."""
    removed = []
    key = _HUB.get(registry, registry)
    for path in auth_files(asked):
        document = _read(path)
        auths = document.get("auths", {})
        known = [name for name in auths if _normal(name) == key]
        helper = _helper(document, key)
        if helper and _asked_helper(helper, key):
            credential_helper.erase(helper, key)
            removed.append(f"docker-credential-{helper}")
        if known:
            document["auths"] = {name: value for name, value in auths.items() if name not in known}
            _write(path, document)
            removed.append(str(path))
    return removed


def _keys(reference: Reference) -> Iterator[str]:
    """`host/a/b`, `host/a`, `host`: the most specific first."""
    host = _HUB.get(reference.registry, reference.registry)
    parts = reference.repository.split("/") if reference.repository else []
    for length in range(len(parts), -1, -1):
        yield "/".join((host, *parts[:length]))


def _from_file(document: dict[str, Any], key: str, path: Path) -> Credentials | None:
    for name, entry in document.get("auths", {}).items():
        if _normal(name) == key and isinstance(entry, dict):
            found = _from_entry(entry, name, path)
            if found:
                return found
    helper = _helper(document, key)
    return _asked_helper(helper, key) if helper else None


def _from_entry(entry: dict[str, Any], name: str, path: Path) -> Credentials | None:
    username, password = str(entry.get("username") or ""), str(entry.get("password") or "")
    if entry.get("auth"):
        try:
            decoded = base64.b64decode(str(entry["auth"]), validate=True).decode()
        except ValueError as error:
            raise InputError(f"the entry 'auth' of {name} is not base64", where=str(path)) from error
        username, _, password = decoded.partition(":")
        password = password.rstrip("\0")  # docker pads
    token = str(entry.get("identitytoken") or "")
    return Credentials(username, password, token) if token or username else None


def _helper(document: dict[str, Any], key: str) -> str | None:
    helpers = document.get("credHelpers")
    found = helpers.get(key.split("/")[0]) if isinstance(helpers, dict) else None
    return str(found or document.get("credsStore") or "") or None


def _asked_helper(helper: str, key: str) -> Credentials | None:
    if "/" in key:  # helpers know hosts
        return None
    try:
        answer = credential_helper.get(helper, key)
        if answer is None and key == _HUB["docker.io"]:
            answer = credential_helper.get(helper, f"https://{key}/v1/")
    except CommandError as error:
        # Without what it printed, which may hold a secret.
        message = f"docker-credential-{helper} get {key} failed with exit code {error.code}"
        raise InputError(message, hint="try it by hand to see why") from error
    if answer is None:
        return None
    username, secret = answer
    # The protocol's mark for an identity token.
    return Credentials(identity_token=secret) if username == "<token>" else Credentials(username, secret)


def _normal(name: str) -> str:
    """A key of `auths` without what URLs have around the host."""
    for scheme in ("https://", "http://"):
        if name.startswith(scheme):
            return name.removeprefix(scheme).split("/")[0]
    return name.rstrip("/")


def _file_to_write(asked: Path | None) -> Path:
    return asked or _environment_path("REGISTRY_AUTH_FILE") or _docker_file()


def _docker_file() -> Path:
    return (_environment_path("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"


def _environment_path(name: str) -> Path | None:
    return Path(os.environ[name]) if os.environ.get(name) else None


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_FILE + 1)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise InputError(f"the file with credentials cannot be read: {error.strerror}", where=str(path)) from error
    try:
        document = json.loads(data or b"{}") if len(data) <= _MAX_FILE else None
    except (ValueError, RecursionError) as error:
        raise InputError("the file with credentials is not JSON", where=str(path)) from error
    if not isinstance(document, dict) or not isinstance(document.get("auths", {}), dict):
        raise InputError("the file with credentials is not what docker or podman write", where=str(path))
    return document


def _write(path: Path, document: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # A link is kept: people keep such files elsewhere.
    target = path.resolve()
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(document, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
