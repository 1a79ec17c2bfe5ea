"""/etc/selinux/config: the mode of SELinux and the policy (selinux(8)). Pure."""

from __future__ import annotations

import re

CONFIG = "/etc/selinux/config"
_SETTING = re.compile(r"^([ \t]*(SELINUX|SELINUXTYPE)[ \t]*=[ \t]*)([^\s#]*)", re.MULTILINE)


def setting(config: str, name: str) -> str | None:
    """A value of /etc/selinux/config; the last counts."""
    found = [match[3] for match in _SETTING.finditer(config) if match[2] == name]
    return found[-1] if found else None


def with_mode(config: str, mode: str) -> str:
    """/etc/selinux/config with a mode."""
    value = mode.removeprefix("force-")
    if setting(config, "SELINUX") is None:
        return config + ("\n" if config and not config.endswith("\n") else "") + f"SELINUX={value}\n"
    return _SETTING.sub(lambda found: f"{found[1]}{value}" if found[2] == "SELINUX" else found[0], config)
