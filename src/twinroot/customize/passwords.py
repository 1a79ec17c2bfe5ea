"""The password of a user (image behaviour spec §13).

It reaches the image's chpasswd by standard input: nothing that others can read, such as command lines, logs and errors,
ever holds it.
"""

from __future__ import annotations

import logging
import os
import re
import stat
from pathlib import Path

from twinroot.config.image.file import ConfigFile
from twinroot.config.image.users import Password
from twinroot.config.problems import KeyPath
from twinroot.customize.accounts import change_accounts
from twinroot.distro.distro import Distro
from twinroot.errors import InputError
from twinroot.sandbox.chroot import Chroot
from twinroot.system.accounts import login_settings

log = logging.getLogger(__name__)

_MAX = 511  # CRYPT_MAX_PASSPHRASE_SIZE of libxcrypt, without the end
_MAX_HASH = 383  # CRYPT_OUTPUT_SIZE, likewise
_METHODS = ("YESCRYPT", "BCRYPT", "SHA512", "SHA256")
# crypt(5): `$id$...`, the 13 characters of DES, or what no password matches, which begins with ! or *.
_HASH = re.compile(r"[!*]{0,2}(\$[0-9a-z]+\$[!-9;-~]+|[./0-9A-Za-z]{13})|[!*][!-9;-~]*")


def set_password(chroot: Chroot, distro: Distro, name: str, password: Password, file: ConfigFile, key: KeyPath) -> None:
    """Give a user a password, or none (`locked`: other ways to log in remain open)."""
    if password.type == "plain-text":
        where = file.document.problem(key, "").where
        log.warning("%s: the configuration holds a password as plain text; hashed-file is safer", where)
    with file.blaming((*key, "value")):
        value = _value(password, file)
        wrong = complaint(password.type, value)
        if wrong:
            raise InputError(wrong)
    with file.blaming(key):
        options = ["--encrypted"]
        if password.type.startswith("plain-text"):
            options = ["--crypt-method", crypt_method(login_settings(chroot.root))]
        change_accounts(chroot, distro, ["chpasswd", *options], stdin=f"{name}:{value}\n".encode())


def crypt_method(settings: dict[str, str]) -> str:
    """The method that an image hashes passwords with, by its login.defs, if it is a good one; else SHA512."""
    wanted = settings.get("ENCRYPT_METHOD", "")
    return wanted if wanted in _METHODS else "SHA512"


def complaint(kind: str, value: str) -> str | None:
    """What is wrong with a password or a hash, without repeating it; None when nothing is."""
    if not value:
        return "the password is empty"
    if kind.startswith("plain-text"):
        if re.search(r"[\x00-\x1f\x7f]", value):
            return "the password may not contain line breaks and other control characters"
        return f"the password is longer than {_MAX} bytes" if len(value.encode()) > _MAX else None
    if kind != "locked" and (len(value) > _MAX_HASH or not _HASH.fullmatch(value)):
        return "this is not a hash as crypt(5) has it, such as $6$salt$hash"
    return None


def _value(password: Password, file: ConfigFile) -> str:
    if password.type == "locked":
        return "*"
    if not password.type.endswith("-file"):
        return password.value or ""
    return read_value(file.resolve(password.value or ""))


def read_value(path: Path) -> str:
    """What a file holds, without one line end after it, which editors add."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise InputError(f"{path} is not a file")
        with os.fdopen(descriptor, "rb") as file:
            # More than any password, so that the complaint about the length follows.
            content = file.read(4 * _MAX)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    try:
        return re.sub(r"\r?\n\Z", "", content.decode())
    except UnicodeDecodeError:
        raise InputError(f"{path} does not hold text in UTF-8") from None
