"""The command line of `customize`, checked by itself. Light, as `plan` wants no more of the builder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from twinroot.errors import UsageError
from twinroot.registry.access import DEFAULT_LIMIT, Access, Trust


@dataclass(frozen=True)
class Options:
    """The command line of `customize`; None and empty mean "not given"."""

    build_dir: Path
    image_file: Path | None = None
    image: str | None = None
    image_cache: Path | None = None
    image_cache_size: int = DEFAULT_LIMIT
    access: Access = field(default_factory=Access)
    trust: Trust = field(default_factory=Trust)
    output_file: Path | None = None
    output_format: str | None = None
    compression_level: int | None = None
    rpm_sources: tuple[Path, ...] = ()
    disable_base_repositories: bool = False
    snapshot_time: str | None = None
    script_network: bool = False
    cache_dir: Path | None = None
    why_rebuild: bool = False


def check_options(options: Options) -> None:
    """UsageError for flags that are wrong whatever the configuration says."""
    if options.why_rebuild and options.cache_dir is None:
        raise UsageError("--why-rebuild speaks of a cache", hint="name one with --cache-dir")
    if options.image_file and options.image:
        raise UsageError("--image-file and --image may not be given together", hint="remove one of them")
    if options.compression_level is not None:
        check_level(options.compression_level)


def check_level(level: int) -> int:
    """A zstd level, 1 to 22. One of a configuration was checked there."""
    if not 1 <= level <= 22:
        raise UsageError(f"--cosi-compression-level {level}: a level from 1 to 22 is wanted")
    return level
