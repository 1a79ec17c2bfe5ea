"""`os.groups`: creating groups with the image's own groupadd (image behaviour spec §13)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from twinroot.config.image.file import ConfigFile
from twinroot.config.image.os import Os
from twinroot.config.image.users import Group
from twinroot.config.problems import Finding, KeyPath, quoted
from twinroot.customize.accounts import change_accounts
from twinroot.distro.distro import Distro
from twinroot.sandbox.chroot import Chroot
from twinroot.system.accounts import read_groups


def create_groups(chroot: Chroot, distro: Distro, file: ConfigFile) -> None:
    """Carry out one file's section. A group that exists already stays as it is; ConfigError if it has a `gid` here."""
    for index, group in enumerate((file.config.os or Os()).groups):
        key: KeyPath = ("os", "groups", index)
        groups = read_groups(chroot.root)
        for finding in clashes(group, groups):
            raise file.refusal((*key, *finding.path), finding.message, finding.hint)
        if group.name not in groups:
            with file.blaming((*key, "name")):
                change_accounts(chroot, distro, command(group))


def clashes(group: Group, groups: Mapping[str, int]) -> Iterator[Finding]:
    """What does not go together with the groups that the image has."""
    if group.gid is None:
        return
    if group.name in groups:
        message = f"the group {quoted(group.name)} exists already, with gid {groups[group.name]}"
        yield Finding(("gid",), f"{message}: its gid cannot be set", "remove the gid")
        return
    for name, gid in groups.items():
        if gid == group.gid:
            yield Finding(("gid",), f"the gid {gid} belongs to the group {quoted(name)} already", "use another one")
            return


def command(group: Group) -> list[str]:
    """How groupadd is called."""
    gid = [] if group.gid is None else ["--gid", str(group.gid)]
    return ["groupadd", *gid, "--", group.name]
