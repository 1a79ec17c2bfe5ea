"""What the command line of `customize` puts in place of the configuration, held against it. Light, like `options`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime

from twinroot.config.image.config import ImageConfig
from twinroot.config.image.output_rules import disk_of_the_format, removed_package_manager
from twinroot.config.image.packages import point_in_time
from twinroot.config.image.preview_features import PreviewFeature
from twinroot.config.problems import Finding
from twinroot.config.scalars import ScalarError
from twinroot.config.section import UnreadableError
from twinroot.errors import InputError


def format_findings(config: ImageConfig, output_format: str | None) -> Iterator[Finding]:
    """What the output format of the command line rules out; nothing without one, as the configuration's is checked."""
    for rule in (removed_package_manager, disk_of_the_format) if output_format else ():
        with suppress(UnreadableError):
            yield from rule(config, output_format)


def snapshot_time(text: str | None, config: ImageConfig) -> datetime | None:
    """`--package-snapshot-time`; InputError when it is no time, or the configuration does not let it be used."""
    if text is None:
        return None
    need_feature(config, "package-snapshot-time", "--package-snapshot-time")
    try:
        return point_in_time(text)
    except ScalarError as error:
        raise InputError(f"--package-snapshot-time: {error.message}", hint=error.hint) from error


def need_feature(config: ImageConfig, feature: PreviewFeature, flag: str) -> None:
    """InputError when a flag is used whose preview feature the configuration does not name."""
    if feature not in config.preview_features:
        hint = f"add {feature} to the list previewFeatures of the configuration"
        raise InputError(f"{flag} needs the preview feature '{feature}'", hint=hint)
