"""grub of a newly written root: which arguments its kernel gets, and the texts that say so (servicing spec, 11.5).
Pure.

The image's grub.cfg is edited in place, and /etc/default/grub beside it so that a grub-mkconfig of later gives the
same. The peer runs grub-mkconfig; but the file systems on the disk are those of the image, identifiers included, so
that all else in its grub.cfg holds already, and nothing of a foreign image has to look at the machine's disks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from twinroot.agent.boot import trial
from twinroot.agent.errors import ServicingError
from twinroot.boot import command_line, entry_file, grub_script

SelinuxMode = Literal["disabled", "permissive", "enforcing"]

_SELINUX = ("security", "selinux", "enforcing")
_ON = ("security=selinux", "selinux=1")
_CORRUPTION = {
    "io-error": None,
    "ignore": "ignore-corruption",
    "panic": "panic-on-corruption",
    "restart": "restart-on-corruption",
}
NETPLAN_SNIPPET = "/etc/default/grub.d/prefer-netplan.cfg"
_NO_NETWORK = "network-config=disabled"
_DEVICE = re.compile(r"^[ \t]*(?:export[ \t]+)?GRUB_DEVICE=.*$", re.MULTILINE)
_TRIAL = f"${trial.VARIABLE}"
_UUID = r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}"
_SEARCH = re.compile(
    rf"^([ \t]*search(?:\.fs_uuid\b|\b(?=[^\n]*(?:--fs-uuid|[ \t]-u))[^\n]*?)[ \t]+['\"]?)({_UUID})\b", re.MULTILINE
)


@dataclass(frozen=True)
class VerityDevice:
    """The devices of a `root` or `usr` that dm-verity protects, and what happens when data is found to be wrong.

    `type` and `options` are those of the file system on it.
    """

    name: str
    data: str
    hashes: str
    root_hash: str
    corruption_option: str = "io-error"
    type: str = "ext4"
    options: str = "ro"


@dataclass(frozen=True)
class Overlay:
    """An overlay over a directory of a read-only root: `lower` as the system calls it, the device that the other two
    lie on, and what they are called there.
    """

    lower: str
    upper: str
    work: str
    device: str


@dataclass(frozen=True)
class KernelTarget:
    """What the kernel of a new root is told. `device` is that of the root file system as the kernel line names it.

    `selinux` None leaves SELinux as the image has it. `netplan`: the network comes from netplan, not from cloud-init.
    `extra` are the arguments of the configuration.
    """

    device: str
    selinux: SelinuxMode | None = None
    verity: VerityDevice | None = None
    overlay: Overlay | None = None
    netplan: bool = False
    extra: tuple[str, ...] = ()


@dataclass(frozen=True)
class GrubTexts:
    """The files of grub in a root: grub.cfg, /etc/default/grub (empty where there is none), entry files by path."""

    config: str
    default: str = ""
    entries: Mapping[str, str] = field(default_factory=dict)


def selinux_arguments(mode: SelinuxMode) -> tuple[str, ...]:
    """The kernel arguments of a mode; whether the policy is enforced is for /etc/selinux/config to say."""
    return ("selinux=0",) if mode == "disabled" else _ON


def settled_arguments(target: KernelTarget) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of the arguments that are replaced, and what comes in their place."""
    names: list[str] = ["root"]
    wanted = [f"root={target.device}"]
    if target.selinux is not None:
        names += _SELINUX
        wanted += selinux_arguments(target.selinux)
    if target.overlay is not None:
        overlay = target.overlay
        names.append("rd.overlayfs")
        wanted.append(f"rd.overlayfs={overlay.lower},{overlay.upper},{overlay.work},{overlay.device}")
    if target.verity is not None:
        verity = _verity(target.verity)
        options = f"systemd.verity_{target.verity.name}_options"
        names += [*(command_line.argument_name(argument) for argument in verity), options]
        wanted += verity
    return tuple(dict.fromkeys(names)), tuple(wanted)


def configured(texts: GrubTexts, target: KernelTarget) -> GrubTexts:
    """The files for a root. ServicingError when grub.cfg has no kernel, or an argument does not get to it."""
    names, wanted = settled_arguments(target)
    extra = (*([_NO_NETWORK] if target.netplan else []), *target.extra)

    def line(text: str) -> str:
        replaced = command_line.replace_in_line(text, names, command_line.join_arguments(wanted))
        return command_line.append_in_line(replaced, command_line.join_arguments((*extra, *_trial_missing(replaced))))

    default = command_line.replace_in_default_grub(texts.default, names, wanted)
    default = _with_device(command_line.append_to_default_grub(default, target.extra), target.device)
    config = grub_script.append_arguments(grub_script.replace_arguments(texts.config, names, wanted), extra)
    config = grub_script.append_script(config, _TRIAL, trial.GUARD)
    entries = {}
    if grub_script.uses_entry_files(texts.config):
        config = trial.with_fallback(grub_script.edit_default_options(config, line))
        entries = {path: _entry(path, text, names, wanted, extra) for path, text in texts.entries.items()}
    found = GrubTexts(config, default, entries)
    _check(found, (*wanted, *extra))
    return found


def netplan_snippet() -> str:
    """The file that has grub-mkconfig of later keep the network for netplan."""
    return f'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT {_NO_NETWORK}"\n'


def with_boot_file_system(stub: str, uuid: str) -> str:
    """grub's first configuration, on the ESP, looking for the file system with /boot by its UUID."""
    if not re.fullmatch(_UUID, uuid):
        raise ServicingError("update-grub-configs", f"'{uuid}' is no UUID of a file system")
    found, count = _SEARCH.subn(lambda match: match[1] + uuid, stub)
    if not count:
        message = "grub.cfg on the ESP does not look for a file system by its UUID (search --fs-uuid)"
        raise ServicingError("update-grub-configs", message, hint="use an image made by Twinroot or Image Customizer")
    return found


def _verity(verity: VerityDevice) -> list[str]:
    """What systemd opens the device by (systemd-veritysetup-generator(8)), and mounts /usr by."""
    prefix, option = f"systemd.verity_{verity.name}", _CORRUPTION[verity.corruption_option]
    found = [
        "rd.systemd.verity=1",
        f"{verity.name}hash={verity.root_hash}",
        f"{prefix}_data={verity.data}",
        f"{prefix}_hash={verity.hashes}",
    ]
    found += [f"{prefix}_options={option}"] if option else []
    if verity.name == "usr":
        found += [
            "mount.usr=/dev/mapper/usr",
            f"mount.usrfstype={verity.type}",
            f"mount.usrflags={verity.options}",
        ]
    return found


def _entry(path: str, text: str, names: tuple[str, ...], wanted: tuple[str, ...], extra: tuple[str, ...]) -> str:
    if entry_file.options(text) is None:
        return text  # It uses those that grub.cfg gives as the default.
    replaced = entry_file.replace_options(text, names, wanted)
    if entry_file.is_recovery(path, text):
        return replaced
    return entry_file.append_options(replaced, (*extra, *_trial_missing(entry_file.options(replaced) or "")))


def _trial_missing(line: str) -> tuple[str, ...]:
    """What stands for the arguments of a trial, unless it is on the line: grub puts them there as it uses the line."""
    return () if _TRIAL in command_line.words_of(line) else (_TRIAL,)


def _with_device(default: str, device: str) -> str:
    """/etc/default/grub with the root device that grub-mkconfig takes for its own."""
    setting = f"GRUB_DEVICE={command_line.in_double_quotes(device)}"
    if _DEVICE.search(default):
        return _DEVICE.sub(lambda _: setting, default)
    return f"{default}{setting}\n"


def _check(texts: GrubTexts, arguments: tuple[str, ...]) -> None:
    lines = [
        [word.value for word in line.arguments] for line in grub_script.kernel_lines(texts.config) if not line.recovery
    ]
    for path, text in texts.entries.items():
        options = entry_file.options(text)
        if not entry_file.is_recovery(path, text):
            lines.append(
                command_line.words_of(grub_script.default_options(texts.config) or "" if options is None else options)
            )
    if not lines:
        message = "grub.cfg of the image loads no kernel that could be found, so it cannot be told where its root is"
        raise ServicingError("update-grub-configs", message)
    for argument in (*map(command_line.unquoted, arguments), _TRIAL):
        if any(argument not in line and "$kernelopts" not in line for line in lines):
            message = f"the kernel argument '{argument}' does not get onto the line of every kernel in grub.cfg"
            raise ServicingError("update-grub-configs", message)
