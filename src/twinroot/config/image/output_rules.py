"""What must hold between the output and the rest (image-config spec, section 6.1). Pure functions."""

from __future__ import annotations

from collections.abc import Iterator

from twinroot.config.checks import Rule
from twinroot.config.image.config import ImageConfig
from twinroot.config.problems import Finding, KeyPath

REMOVE_PACKAGE_MANAGER: KeyPath = ("os", "packages", "removePackageManager")
_NEED_PACKAGE_MANAGER = ("iso", "pxe-dir", "pxe-tar", "cosi", "baremetal-image")


def removed_package_manager(config: ImageConfig, output_format: str | None = None) -> Iterator[Finding]:
    """Formats whose making asks the package manager. `output_format` overrides that of the configuration."""
    wanted = output_format or config.output.image.format
    if config.os and config.os.packages.remove_package_manager and wanted in _NEED_PACKAGE_MANAGER:
        hint = "use another output format, or keep the package manager"
        yield Finding(REMOVE_PACKAGE_MANAGER, f"this is not possible with the output format {wanted}", hint)


OUTPUT_RULES: tuple[Rule[ImageConfig], ...] = (removed_package_manager,)
