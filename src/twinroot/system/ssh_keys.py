"""SSH keys with which a user may log in: `~/.ssh/authorized_keys` (image behaviour spec §13)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from twinroot.errors import InputError
from twinroot.sandbox.paths import inside, make_directory, open_new, read_file, resolve_inside
from twinroot.system.accounts import Account
from twinroot.units import MIB

_NO_HOMES = ("", "/nonexistent", "/dev/null")


def read_keys(path: Path) -> list[str]:
    """The lines of a file of public keys, without empty ones."""
    try:
        with path.open("rb") as file:
            content = file.read(MIB + 1)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    if len(content) > MIB:
        raise InputError(f"{path} is too large for a file of public keys")
    try:
        return split_keys(content.decode())
    except UnicodeDecodeError:
        raise InputError(f"{path} does not hold text") from None


def split_keys(text: str) -> list[str]:
    """The lines of a text, without empty ones; InputError for a private key, which no system should be given."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if any(line.startswith("-----BEGIN") and "PRIVATE" in line for line in lines):
        raise InputError("this is a private key, a public one is wanted", hint="it is in the file that ends in .pub")
    if any(not line.isprintable() and not line.replace("\t", " ").isprintable() for line in lines):
        raise InputError("this is not a public key: it holds control characters")
    return lines


def merge_keys(existing: str, keys: Sequence[str]) -> str:
    """The text of authorized_keys with those keys added that are not in it yet."""
    known = {line.strip() for line in existing.splitlines()}
    added = [key for key in dict.fromkeys(keys) if key not in known]
    start = existing if not existing or existing.endswith("\n") else f"{existing}\n"
    return start + "".join(f"{key}\n" for key in added)


def authorize(root: Path, account: Account, keys: Sequence[str]) -> None:
    """Let whoever has one of the keys log in as the user."""
    if account.home in _NO_HOMES or not account.home.startswith("/"):
        raise InputError(f"the user has no home directory for keys (it is {account.home or 'not set'!r})")
    _make_own(root, account.home, account)
    directory = f"{account.home.rstrip('/')}/.ssh"
    _make_own(root, directory, account)
    # A link may lead elsewhere inside the image: what it leads to is what sshd reads.
    path = inside(root, resolve_inside(root, f"{directory}/authorized_keys"))
    existing = (read_file(root, path) or b"").decode("utf-8", "surrogateescape")
    with open_new(root, path) as file:
        file.write(merge_keys(existing, keys).encode("utf-8", "surrogateescape"))
        os.fchown(file.fileno(), account.uid, account.gid)


def _make_own(root: Path, path: str, account: Account) -> None:
    """A directory that only the user may enter, when there is none yet."""
    if not resolve_inside(root, path).is_dir():
        make_directory(root, path.rpartition("/")[0])
        target = make_directory(root, path, 0o700)
        os.chown(target, account.uid, account.gid)
