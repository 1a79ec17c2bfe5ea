"""`customize`: the flags of the peer's builder, and running it."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from twinroot.cli import registry_flags
from twinroot.cli.arguments import add_global_flags, output_format, split_list
from twinroot.cli.frame import report_problems, run_command
from twinroot.events import Emit
from twinroot.units import human

if TYPE_CHECKING:
    from twinroot.builder.options import Options

log = logging.getLogger("twinroot.cli")


def add_flags(parser: argparse.ArgumentParser, *, needs_build_dir: bool = True) -> None:
    """The flags of `customize` (image config spec §11.2)."""
    parser.add_argument(
        "--build-dir", type=Path, required=needs_build_dir, metavar="DIR", help="scratch space; made when missing"
    )
    parser.add_argument("--config-file", type=Path, required=True, metavar="FILE", help="the image configuration")
    parser.add_argument("--image-file", type=Path, metavar="FILE", help="base image: raw, qcow2, vhd, vhd-fixed, vhdx")
    parser.add_argument(
        "--image", metavar="SPEC", help="base image in a registry: oci:REFERENCE or azurelinux:VARIANT:VERSION"
    )
    parser.add_argument(
        "--image-cache-dir", type=Path, metavar="DIR", help="where images from registries are kept; made when missing"
    )
    parser.add_argument(
        "--image-cache-size", metavar="SIZE",
        help="how much of them is kept, for example 50G (default: 20G); the least recently used go first",
    )  # fmt: skip
    parser.add_argument(
        "--output-image-file", "--output-path", dest="output_image_file", type=Path, metavar="PATH",
        help="the file to write",
    )  # fmt: skip
    parser.add_argument(
        "--output-image-format", type=output_format, metavar="FORMAT", help="cosi, raw, qcow2, vhd, vhd-fixed or vhdx"
    )
    parser.add_argument(
        "--rpm-source", action="append", metavar="PATH",
        help="a directory of RPM files or a .repo file; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--disable-base-image-rpm-repos", action="store_true", help="do not use the base image's own repositories"
    )
    parser.add_argument(
        "--package-snapshot-time", metavar="TIME",
        help="only packages published before this time, in place of os.packages.snapshotTime; for tdnf only",
    )  # fmt: skip
    parser.add_argument("--script-network", action="store_true", help="let scripts reach this host's network")
    parser.add_argument(
        "--cosi-compression-level", type=int, metavar="N", help="zstd level for COSI, 1 to 22 (default: 3)"
    )
    parser.add_argument(
        "--cache-dir",
        type=Path,
        metavar="DIR",
        help="keep what steps made, and do not run those again that would make the same",
    )
    parser.add_argument("--why-rebuild", action="store_true", help="with --cache-dir: say which input changed")
    registry_flags.add_access_flags(parser)
    registry_flags.add_trust_flags(parser)
    add_global_flags(parser, top=False)


def run(arguments: argparse.Namespace) -> int:
    """Customise; the exit code."""
    return run_command(arguments, "image customization failed", lambda emit: _customize(arguments, emit))


def options(arguments: argparse.Namespace) -> Options:
    """The flags as the builder takes them."""
    from twinroot.builder.options import Options

    return Options(
        build_dir=arguments.build_dir or Path(),  # `plan` needs none
        image_file=arguments.image_file,
        image=arguments.image,
        image_cache=arguments.image_cache_dir,
        image_cache_size=registry_flags.cache_size(arguments.image_cache_size),
        access=registry_flags.access(arguments),
        trust=registry_flags.trust(arguments),
        output_file=arguments.output_image_file,
        output_format=arguments.output_image_format or None,
        compression_level=arguments.cosi_compression_level,
        rpm_sources=tuple(Path(source) for source in split_list(arguments.rpm_source)),
        disable_base_repositories=arguments.disable_base_image_rpm_repos,
        snapshot_time=arguments.package_snapshot_time or None,
        script_network=arguments.script_network,
        cache_dir=arguments.cache_dir,
        why_rebuild=arguments.why_rebuild,
    )


def _customize(arguments: argparse.Namespace, emit: Emit) -> None:
    from twinroot.builder.customize import customize
    from twinroot.builder.request import resolve_request
    from twinroot.config.load import read_image_config

    read = read_image_config(arguments.config_file)
    report_problems(read.warnings, logging.WARNING, arguments.log_format)
    request = resolve_request(read, options(arguments))
    customize(request, emit)
    size = human(request.output_file.stat().st_size)
    log.info("Wrote %s (%s, %s)", request.output_file, request.output_format, size)
    log.info("Success!")
