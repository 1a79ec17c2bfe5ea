"""docker-credential-NAME: programs that keep credentials for docker, podman and oras.

Protocol (docker-credential-helpers): an action as argument, a server or JSON on standard input, JSON on standard
output. They find what they need (sessions, cloud accounts) through the environment, so they get the caller's.
"""

from __future__ import annotations

import json
import os
import re

from twinroot.errors import InputError
from twinroot.tools.run import Result, run

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_UNKNOWN = "credentials not found"


def get(helper: str, server: str) -> tuple[str, str] | None:
    """User and secret for a server; None when the helper does not know it."""
    result = _run(helper, "get", server.encode(), ok=(0, 1))
    if result.code == 1 and _UNKNOWN in (result.stdout + result.stderr).lower():
        return None
    if result.code:
        # Whatever it printed may hold a secret.
        raise InputError(f"docker-credential-{helper} get {server} failed", hint="try it by hand to see why")
    try:
        answer = json.loads(result.stdout)
        return str(answer["Username"]), str(answer["Secret"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"docker-credential-{helper} gave no credentials for {server}") from error


def store(helper: str, server: str, username: str, secret: str) -> None:
    """Keep a secret."""
    _run(helper, "store", json.dumps({"ServerURL": server, "Username": username, "Secret": secret}).encode())


def erase(helper: str, server: str) -> None:
    """Forget a server."""
    _run(helper, "erase", server.encode())


def _run(helper: str, action: str, stdin: bytes, ok: tuple[int, ...] = (0,)) -> Result:
    if not _NAME.fullmatch(helper):
        raise InputError(f"{helper!r} is not the name of a credential helper")
    passed = {name: value for name, value in os.environ.items() if name not in ("PATH", "LANG", "LC_ALL", "TZ")}
    return run([f"docker-credential-{helper}", action], stdin=stdin, env=passed, ok=ok)
