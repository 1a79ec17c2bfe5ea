"""What must hold between the output and the rest (image-config spec, section 6.1). Pure functions."""

from __future__ import annotations

from collections.abc import Iterator

from twinroot.config.checks import Rule
from twinroot.config.image.config import ImageConfig
from twinroot.config.image.layout import resolve_layout, size_key
from twinroot.config.problems import Finding, KeyPath
from twinroot.units import LARGEST_DISKS, exact

REMOVE_PACKAGE_MANAGER: KeyPath = ("os", "packages", "removePackageManager")
_NEED_PACKAGE_MANAGER = ("iso", "pxe-dir", "pxe-tar", "cosi", "baremetal-image")


def removed_package_manager(config: ImageConfig, output_format: str | None = None) -> Iterator[Finding]:
    """Formats whose making asks the package manager. `output_format` overrides that of the configuration."""
    wanted = output_format or config.output.image.format
    if config.os and config.os.packages.remove_package_manager and wanted in _NEED_PACKAGE_MANAGER:
        hint = "use another output format, or keep the package manager"
        yield Finding(REMOVE_PACKAGE_MANAGER, f"this is not possible with the output format {wanted}", hint)


def disk_of_the_format(config: ImageConfig, output_format: str | None = None) -> Iterator[Finding]:
    """Formats whose disks cannot be of any size. `output_format` overrides that of the configuration."""
    wanted = output_format or config.output.image.format or ""
    largest = LARGEST_DISKS.get(wanted)
    if largest is None:
        return
    for index, disk in enumerate(config.storage.disks):
        layout, _ = resolve_layout(disk, path := ("storage", "disks", index))
        if layout and layout.disk_size > largest:
            message = f"the disk has {exact(layout.disk_size)}; one of format {wanted} has at most {exact(largest)}"
            yield Finding(size_key(disk, layout, path), message, "make it smaller, or use another output format")


OUTPUT_RULES: tuple[Rule[ImageConfig], ...] = (removed_package_manager, disk_of_the_format)
