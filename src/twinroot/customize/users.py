"""`os.users`: creating and changing users with the image's own shadow-utils (image behaviour spec §13)."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from twinroot.config.image.file import ConfigFile
from twinroot.config.image.os import Os
from twinroot.config.image.users import User
from twinroot.config.problems import Finding, KeyPath, quoted
from twinroot.customize.accounts import change_accounts
from twinroot.customize.copying import Modes, Owner, copy_tree
from twinroot.customize.files import check_place
from twinroot.customize.passwords import set_password
from twinroot.distro.distro import Distro
from twinroot.epoch import source_date_epoch
from twinroot.errors import InputError
from twinroot.plan.disk import PlannedDisk, mount_path
from twinroot.sandbox.chroot import Chroot
from twinroot.sandbox.paths import make_directory, resolve_inside
from twinroot.system.accounts import (
    Account,
    group_id,
    login_settings,
    read_accounts,
    read_groups,
    read_last_changes,
)
from twinroot.system.ssh_keys import authorize, read_keys, split_keys

log = logging.getLogger(__name__)

_DAY = 86400


@dataclass(frozen=True)
class _Work:
    """What every user of a file needs."""

    chroot: Chroot
    distro: Distro
    disk: PlannedDisk
    file: ConfigFile

    def run(self, argv: list[str]) -> None:
        """Change accounts of the image."""
        change_accounts(self.chroot, self.distro, argv)


def apply_users(chroot: Chroot, distro: Distro, disk: PlannedDisk, file: ConfigFile) -> None:
    """Carry out one file's section; ConfigError showing the entry at fault."""
    work = _Work(chroot, distro, disk, file)
    for index, user in enumerate((file.config.os or Os()).users):
        _apply(work, user, ("os", "users", index))


def _apply(work: _Work, user: User, key: KeyPath) -> None:
    accounts, groups = read_accounts(work.chroot.root), read_groups(work.chroot.root)
    for finding in clashes(user, accounts, groups):
        raise work.file.refusal((*key, *finding.path), finding.message, finding.hint)
    if user.home_directory:
        check_place(work.chroot.root, user.home_directory, (*key, "homeDirectory"), work.file)
    with work.file.blaming((*key, "name")):
        if user.name in accounts:
            for argv in changes(user):
                work.run(argv)
        else:
            _create(work, user, own_group_exists=user.name in groups)
        if user.secondary_groups:
            work.run(["usermod", "--append", "--groups", ",".join(user.secondary_groups), "--", user.name])
    if user.password:
        set_password(work.chroot, work.distro, user.name, user.password, work.file, (*key, "password"))
    if user.password_expires_days is not None:
        last = read_last_changes(work.chroot.root).get(user.name, "")
        with work.file.blaming((*key, "passwordExpiresDays")):
            work.run(expiry(user.name, user.password_expires_days, last, _today()))
    _add_keys(work, user, key)


def clashes(user: User, accounts: Mapping[str, Account], groups: Mapping[str, int]) -> Iterator[Finding]:
    """What does not go together with the users and groups that the image has."""
    account, name = accounts.get(user.name), quoted(user.name)
    if account and user.uid is not None:
        message = f"the user {name} exists already, with uid {account.uid}: its uid cannot be set"
        yield Finding(("uid",), message, "remove the uid")
    if account and user.home_directory is not None:
        message = f"the user {name} exists already, with the home directory {quoted(account.home)}"
        yield Finding(("homeDirectory",), f"{message}: its home directory cannot be set", "remove homeDirectory")
    if not account and user.uid is not None:
        for other in accounts.values():
            if other.uid == user.uid:
                message = f"the uid {user.uid} belongs to the user {quoted(other.name)} already"
                yield Finding(("uid",), message, "use another one")
                break
    primary = [] if user.primary_group is None else [(("primaryGroup",), user.primary_group)]
    named: list[tuple[KeyPath, str]] = [*primary]
    named += [(("secondaryGroups", index), group) for index, group in enumerate(user.secondary_groups)]
    for path, group in named:
        if group_id(group, groups) is None:
            yield Finding(path, f"the image has no group {quoted(group)}", "create it with os.groups")


def creation(user: User) -> list[str]:
    """How useradd is called."""
    options = ["--create-home"]
    options += [] if user.uid is None else ["--uid", str(user.uid)]
    options += ["--home-dir", user.home_directory] if user.home_directory else []
    return ["useradd", *options, *_common(user), "--", user.name]


def changes(user: User) -> list[list[str]]:
    """How usermod is called for a user that exists already, if at all."""
    return [["usermod", *_common(user), "--", user.name]] if _common(user) else []


def _common(user: User) -> list[str]:
    options = ["--gid", user.primary_group] if user.primary_group else []
    return options + (["--shell", user.startup_command] if user.startup_command else [])


def expiry(name: str, days: int, last_change: str, today: int) -> list[str]:
    """How chage is called. Days count from the last change of the password: without one they would never pass."""
    since = [] if last_change or days < 0 else ["--lastday", str(today)]
    return ["chage", *since, "--maxdays", str(days), "--", name]


def _today() -> int:
    epoch = source_date_epoch()
    return int(time.time() if epoch is None else epoch) // _DAY


def _create(work: _Work, user: User, *, own_group_exists: bool) -> None:
    root = work.chroot.root
    if user.home_directory:
        # useradd of older distributions does not make what is missing above a home directory.
        make_directory(root, user.home_directory.rstrip("/").rpartition("/")[0])
    try:
        work.run(creation(user))
    except InputError as error:
        hint = error.hint
        if own_group_exists and not user.primary_group:
            hint = f"to make the group that exists already the user's own, add primaryGroup: {user.name}"
        raise InputError(error.message, hint=hint) from error
    account = read_accounts(root).get(user.name)
    if account:
        _settle_home(work, account)


def _settle_home(work: _Work, account: Account) -> None:
    """Hand a home directory over that useradd found there and so left alone: an empty filesystem's mount point.

    Any other directory that was there before stays whose it is: nobody is given `/` or `/var` for naming it as a home.
    """
    root = work.chroot.root
    home = resolve_inside(root, account.home)
    if not home.is_dir() or home.stat().st_uid == account.uid:
        return
    mount_points = [resolve_inside(root, mount_path(partition)) for partition in work.disk.mounted]
    if home not in mount_points or {entry.name for entry in home.iterdir()} - {"lost+found"}:
        owner = home.stat().st_uid
        message = "the home directory %s of %s was there before and stays with uid %d"
        log.warning(message, account.home, account.name, owner)
        return
    skeleton, owned = resolve_inside(root, "/etc/skel"), Owner(account.uid, account.gid)
    if skeleton.is_dir():
        copy_tree(skeleton, root, account.home, work.disk, Modes(file=None, new_directory=None), owner=owned)
    os.chown(home, account.uid, account.gid)
    home.chmod(home_mode(login_settings(root)))


def home_mode(settings: Mapping[str, str]) -> int:
    """Permissions of new home directories, as useradd finds them in login.defs(5)."""
    for name, mask in (("HOME_MODE", 0), ("UMASK", 0o777)):
        text = settings.get(name, "")
        if text and set(text) <= set("01234567") and len(text) <= 4:
            return (int(text, 8) ^ mask) & 0o777
    return 0o700


def _add_keys(work: _Work, user: User, key: KeyPath) -> None:
    keys: list[str] = []
    for index, name in enumerate(user.ssh_public_key_paths):
        with work.file.blaming((*key, "sshPublicKeyPaths", index)):
            keys += read_keys(work.file.resolve(name))
    for index, text in enumerate(user.ssh_public_keys):
        with work.file.blaming((*key, "sshPublicKeys", index)):
            keys += split_keys(text)
    account = read_accounts(work.chroot.root).get(user.name)
    if keys and account:
        with work.file.blaming((*key, "sshPublicKeys" if user.ssh_public_keys else "sshPublicKeyPaths")):
            authorize(work.chroot.root, account, keys)
