"""What one customisation is asked to do: command line over config over defaults. Checked before any work."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from twinroot.builder.build_directory import check_cache_outside, check_output_outside
from twinroot.builder.options import Options, check_options
from twinroot.builder.overrides import format_findings, need_feature, snapshot_time
from twinroot.config.image.file import ConfigFile
from twinroot.config.image.not_built import UNBUILT_FORMATS, unbuilt
from twinroot.config.image.packages import PackageChanges
from twinroot.config.load import LoadedConfig, ReadConfig
from twinroot.config.problems import KeyPath
from twinroot.config.resources import resource_problems
from twinroot.distro.rpm_sources import check_sources
from twinroot.errors import InputError, Problem
from twinroot.output.disk import DISK_FORMATS
from twinroot.output.files import check_output
from twinroot.registry.access import Fetching
from twinroot.registry.source import RegistryImage, from_config, from_specification

OUTPUT_FORMATS = ("cosi", *DISK_FORMATS)
_INPUT: KeyPath = ("input", "image", "path")
_OUTPUT: KeyPath = ("output", "image", "path")
DEFAULT_LEVEL = 3


@dataclass(frozen=True)
class CustomizeRequest:
    """Everything decided. `compression_level` is zstd's, for COSI; `fetching` is for a base image in a registry."""

    config: LoadedConfig
    build_dir: Path
    base: Path | RegistryImage
    fetching: Fetching | None
    output_file: Path
    output_format: str
    compression_level: int
    rpm_sources: tuple[Path, ...]
    base_repositories: bool
    snapshot_time: datetime | None = None
    script_network: bool = False
    cache_dir: Path | None = None
    why_rebuild: bool = False

    def packages(self, file: ConfigFile) -> PackageChanges:
        """What a file wants of packages, at the time that the command line names."""
        return file.packages.at(self.snapshot_time)


def resolve_request(read: ReadConfig, options: Options) -> CustomizeRequest:
    """Put command line and config together; InputError for what is missing or cannot work.

    One ConfigError has what is wrong in the config and what stands in the way of this run.
    """
    check_options(options)
    config = read.loaded(_problems_of_run(read, options))
    base = choose_base(config, options.image_file, options.image)
    if base is None:
        raise InputError("no base image is given", hint="use --image-file, or input.image.path in the config")
    if isinstance(base, Path):
        _refuse_cosi(base)
    output = options.output_file or config.resolve(_OUTPUT)
    if output is None:
        raise InputError("no output is given", hint="use --output-image-file, or output.image.path in the config")
    output_format = check_format(options.output_format or config.config.output.image.format)
    check_output(output, [*([base] if isinstance(base, Path) else []), *(file.path for file in config.files)])
    check_output_outside(options.build_dir, output)
    for flag, cache in (("--cache-dir", options.cache_dir), ("--image-cache-dir", options.image_cache)):
        if cache is not None:
            check_cache_outside(options.build_dir, flag, cache)
    check_sources(options.rpm_sources)
    return CustomizeRequest(
        config=config,
        build_dir=options.build_dir,
        base=base,
        fetching=_fetching(options) if isinstance(base, RegistryImage) else None,
        output_file=output,
        output_format=output_format,
        compression_level=_level(options.compression_level, config),
        rpm_sources=options.rpm_sources,
        base_repositories=not options.disable_base_repositories,
        snapshot_time=snapshot_time(options.snapshot_time, config.config),
        script_network=options.script_network,
        cache_dir=options.cache_dir,
        why_rebuild=options.why_rebuild,
    )


def choose_base(config: LoadedConfig, image_file: Path | None, image: str | None) -> Path | RegistryImage | None:
    """The base image: `--image-file`, else `--image`, else what the config says; None when nothing says it."""
    if image_file:
        return image_file
    if image:
        found = from_specification(image)
        need_feature(config.config, "input-image-oci", "--image")
        return found
    return from_config(config.config.input.image) or config.resolve(_INPUT)


def _refuse_cosi(base: Path) -> None:
    from twinroot.output.inspect import is_cosi  # takes long to import, and `plan` looks at no base image

    if base.is_file() and is_cosi(base):
        disk = base.with_suffix(".qcow2").name
        hint = f"make one of it: {shlex.join(['twinroot', 'convert', str(base), disk])}"
        raise InputError("the base image is a COSI file, and a disk image is wanted", where=str(base), hint=hint)


def _fetching(options: Options) -> Fetching:
    if options.image_cache is None:
        hint = "add --image-cache-dir DIR"
        raise InputError("a base image from a registry needs a directory to be kept in", hint=hint)
    return Fetching(options.image_cache, options.image_cache_size, options.access, options.trust)


def _problems_of_run(read: ReadConfig, options: Options) -> list[Problem]:
    """What this version cannot do, what the output format of the command line rules out, and what is missing."""
    image_given = options.image_file is not None or options.image is not None
    format_given = options.output_format is not None
    findings = [*unbuilt(read.config, image_given=image_given, format_given=format_given)]
    findings += format_findings(read.config, options.output_format)
    # Input and output are looked at when they are resolved.
    return [*read.placed(findings), *resource_problems(read, input_and_output=False)]


def check_format(name: str | None, formats: Sequence[str] = OUTPUT_FORMATS) -> str:
    """The output format; InputError when it is missing or none that we can write."""
    if not name:
        raise InputError("no output format is given", hint=f"use --output-image-format {'|'.join(formats)}")
    if name not in formats:
        what = "is not built yet in this version of twinroot" if name in UNBUILT_FORMATS else "is not known"
        raise InputError(f"output format '{name}' {what}", hint=f"use one of {', '.join(formats)}")
    return name


def _level(option: int | None, config: LoadedConfig) -> int:
    if option is not None:
        return option
    configured = config.config.output.image.cosi.compression.level
    return configured if configured is not None else DEFAULT_LEVEL
