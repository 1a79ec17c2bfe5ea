"""`os.users`: accounts, SSH keys, and who may log in over SSH (servicing spec, 12.2; host-config spec, 7.3)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from twinroot.agent.errors import ServicingError
from twinroot.agent.osconfig.blame import blaming
from twinroot.config.host.users import User
from twinroot.sandbox.chroot import Chroot
from twinroot.sandbox.paths import make_directory, place_file, read_text
from twinroot.system.accounts import Account, group_id, read_accounts, read_groups
from twinroot.system.ssh_keys import authorize, split_keys

_ERROR = "set-up-users"
SSHD_CONFIG = "/etc/ssh/sshd_config"
SSHD_USERS = "/etc/ssh/sshd_config.d/global_user.conf"
_INCLUDE = f"Include {SSHD_USERS}"
_PATTERN = re.compile(r"[*?!@\"'#\\]")


def set_up_users(chroot: Chroot, users: Sequence[User], key: str = "os.users") -> None:
    """Create and change users by the system's own programs. ServicingError names the entry at fault."""
    sshd = sshd_files(users, read_text(chroot.root, SSHD_CONFIG))
    for index, user in enumerate(users):
        with blaming(_ERROR, f"{key}[{index}] ({user.name})"):
            _set_up(chroot, user)
    with blaming(_ERROR, key):
        for path, text in sshd.items():
            make_directory(chroot.root, path.rpartition("/")[0])
            place_file(chroot.root, path, text, follow=True)


def commands(user: User, accounts: Mapping[str, Account], groups: Mapping[str, int]) -> list[list[str]]:
    """How useradd and usermod are called for a user; ServicingError for what the system's accounts do not allow."""
    for reason in _clashes(user, accounts, groups):
        raise ServicingError(_ERROR, f"the user {user.name}: {reason}")
    common = ["--gid", user.primary_group] if user.primary_group else []
    common += ["--shell", user.startup_command] if user.startup_command else []
    if user.name in accounts:
        found = [["usermod", *common, "--", user.name]] if common else []
    else:
        options = [] if user.uid is None else ["--uid", str(user.uid)]
        options += ["--home-dir", user.home_directory] if user.home_directory else []
        found = [["useradd", "--create-home", *options, *common, "--", user.name]]
    if user.secondary_groups:
        found.append(["usermod", "--append", "--groups", ",".join(user.secondary_groups), "--", user.name])
    return found


def sshd_files(users: Sequence[User], sshd_config: str | None) -> dict[str, str]:
    """The texts of sshd's files by their paths, none where they stay as they are; `sshd_config` None: there is no sshd.

    The first value of a setting counts for sshd, so that ours is included first. ServicingError for users who are to
    log in where there is no sshd, and for names that sshd would read as patterns.
    """
    if not users:
        return {}
    if sshd_config is None:
        wanted = [user.name for user in users if user.ssh_mode != "block" or user.ssh_public_keys]
        if wanted:
            message = f"the image has no {SSHD_CONFIG}, so {wanted[0]} cannot log in over SSH"
            raise ServicingError(_ERROR, message, hint="use an image with openssh-server, or set sshMode: block")
        return {}
    blocked = [user.name for user in users if user.ssh_mode == "block" and user.name != "root"]
    for name in blocked:
        if _PATTERN.search(name):
            raise ServicingError(_ERROR, f"the user {name} cannot be kept out: sshd would take the name for a pattern")
    lines = [
        f"PermitRootLogin {'no' if user.ssh_mode == 'block' else 'prohibit-password'}"
        for user in users
        if user.name == "root"
    ]
    lines += [f"DenyUsers {' '.join(blocked)}"] if blocked else []
    found = {SSHD_USERS: "".join(f"{line}\n" for line in lines)}
    if _INCLUDE not in sshd_config.splitlines():
        found[SSHD_CONFIG] = f"{_INCLUDE}\n{sshd_config}"
    return found


def _clashes(user: User, accounts: Mapping[str, Account], groups: Mapping[str, int]) -> list[str]:
    account = accounts.get(user.name)
    found = []
    if account and user.uid not in (None, account.uid):
        found.append(f"it exists already, with uid {account.uid}: its uid cannot be set")
    if account and user.home_directory not in (None, account.home):
        found.append(f"it exists already, with the home directory {account.home}: that cannot be set")
    if not account and user.uid is not None:
        found += [f"the uid {user.uid} belongs to {a.name} already" for a in accounts.values() if a.uid == user.uid]
    for group in (*([user.primary_group] if user.primary_group else []), *user.secondary_groups):
        if group_id(group, groups) is None:
            found.append(f"the image has no group {group}")
    return found


def _set_up(chroot: Chroot, user: User) -> None:
    root: Path = chroot.root
    for argv in commands(user, read_accounts(root), read_groups(root)):
        if not chroot.has(argv[0]):
            raise ServicingError(_ERROR, f"the image has no {argv[0]}", hint="use an image with shadow-utils")
        if argv[0] == "useradd" and user.home_directory:
            # useradd of older distributions does not make what is missing above a home directory.
            make_directory(root, user.home_directory.rstrip("/").rpartition("/")[0])
        chroot.run(argv)
    keys = [line for text in user.ssh_public_keys for line in split_keys(text)]
    if keys:
        authorize(root, read_accounts(root)[user.name], keys)
