"""What must hold between the parts of `os` (image-config spec, section 5, rules 5 to 7). Pure functions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from twinroot.config.checks import Rule
from twinroot.config.image.config import ImageConfig
from twinroot.config.image.overlays import normal
from twinroot.config.problems import Finding, KeyPath, quoted
from twinroot.config.section import UnreadableError
from twinroot.config.uses import Pattern

_MODULES: KeyPath = ("os", "modules")
_OVERLAYS: KeyPath = ("os", "overlays")

_NEW_BOOT_LOADER = Pattern("os.bootloader.resetType", ("hard-reset",))
_NOT_WITH_UKI = {
    "passthrough": (
        _NEW_BOOT_LOADER,
        Pattern("os.selinux.mode"),
        Pattern("os.kernelCommandLine.extraCommandLine"),
        Pattern("storage.verity"),
        Pattern("storage.reinitializeVerity", ("all",)),
        Pattern("os.overlays"),
    ),
    "modify": (_NEW_BOOT_LOADER, Pattern("storage.verity"), Pattern("os.overlays")),
}


def unique_modules(config: ImageConfig) -> Iterator[Finding]:
    """No module is described twice."""
    seen: dict[str, int] = {}
    for index, module in enumerate(config.os.modules if config.os else ()):
        with suppress(UnreadableError):
            first = seen.setdefault(module.name, index)
            if first != index:
                message = f"the module {quoted(module.name)} is already described in modules[{first}]"
                yield Finding((*_MODULES, index, "name"), message)


def unique_overlays(config: ImageConfig) -> Iterator[Finding]:
    """No two overlays share a mount point, an upper or a work directory."""
    seen: dict[tuple[str, str], int] = {}
    for index, overlay in enumerate((config.os and config.os.overlays) or ()):
        for key, name in (("mountPoint", "mount_point"), ("upperDir", "upper_dir"), ("workDir", "work_dir")):
            with suppress(UnreadableError):
                path = getattr(overlay, name)
                first = seen.setdefault((key, normal(path)), index)
                if first != index:
                    message = f"the {key} {quoted(path)} is already used by overlays[{first}]"
                    yield Finding((*_OVERLAYS, index, key), message)


def uki_compatibility(config: ImageConfig) -> Iterator[Finding]:
    """What cannot be changed while unified kernel images are kept."""
    mode = config.os.uki.mode if config.os and config.os.uki else None
    for pattern in _NOT_WITH_UKI.get(mode or "", ()):
        for path, _ in pattern.uses(config):
            yield Finding(path, f"this is not possible with uki mode {mode}", "remove it, or use os.uki.mode: create")


OS_RULES: tuple[Rule[ImageConfig], ...] = (
    unique_modules,
    unique_overlays,
    uki_compatibility,
)
