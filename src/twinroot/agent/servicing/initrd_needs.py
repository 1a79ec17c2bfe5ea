"""Whether a new system needs another initrd than its image brought. Pure.

The peer makes it anew each time. An image comes with an initrd that starts it; what a configuration changes reaches it
only by kernel modules, by files for the tools that make it, and by scripts, of which nobody knows what they change.
Where none of these is there, the initrd that was tested with the image is the safer one, and minutes are saved.
"""

from __future__ import annotations

from posixpath import normpath

from twinroot.config.host.config import HostConfig

_SOURCES = (
    "/etc/crypttab", "/etc/dracut.conf", "/etc/dracut.conf.d", "/etc/initramfs-tools", "/etc/mdadm", "/etc/mdadm.conf",
    "/etc/modprobe.d", "/etc/modules", "/etc/modules-load.d", "/etc/sysctl.d", "/etc/udev", "/usr/lib/dracut",
    "/usr/lib/firmware", "/usr/lib/modprobe.d", "/usr/lib/modules", "/usr/lib/modules-load.d", "/usr/lib/udev",
    "/lib/firmware", "/lib/modules", "/usr/share/initramfs-tools", "/etc/vconsole.conf", "/etc/locale.conf",
)  # fmt: skip


def needs_new_initrd(config: HostConfig) -> bool:
    """Whether a configuration changes what an initrd is made of."""
    if config.os.modules or config.scripts.post_provision or config.scripts.post_configure:
        return True
    if config.internal_params.get("dracutDebug") is True:
        return True
    return any(_is_source(file.destination) for file in config.os.additional_files)


def without_effect(config: HostConfig, *, sealed: bool = False) -> tuple[str, ...]:
    """What of a configuration cannot reach a system that starts by a unified kernel: that is as its image has it.

    `sealed`: nor can anything reach its root.
    """
    system = config.os
    found = ["os.kernelCommandLine"] if system.kernel_command_line.extra_command_line else []
    if any(device.corruption_option != "io-error" for device in config.storage.verity):
        found.append("storage.verity[].corruptionOption")
    if sealed:
        settings = {
            "os.hostname": system.hostname, "os.users": system.users, "os.modules": system.modules,
            "os.services": system.services.enable or system.services.disable, "os.selinux.mode": system.selinux.mode,
        }  # fmt: skip
        return (*found, *(name for name, value in settings.items() if value))
    if system.modules or any(_is_source(file.destination) for file in system.additional_files):
        found.append("os.modules and os.additionalFiles, as far as the initrd needs them,")
    return tuple(found)


def _is_source(path: str) -> bool:
    """Whether a path is one of those that initrds are made of, or lies below one."""
    found = normpath("/" + path.lstrip("/"))
    return any(found == source or found.startswith(f"{source}/") for source in _SOURCES)
