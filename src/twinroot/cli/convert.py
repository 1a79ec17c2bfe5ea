"""`convert`: a COSI file or a disk image into another format."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twinroot.cli.arguments import add_global_flags, output_format
from twinroot.cli.frame import run_command
from twinroot.errors import UsageError
from twinroot.events import Emit

log = logging.getLogger("twinroot.cli")

_FORMATS = "cosi, raw, qcow2, vhd, vhd-fixed or vhdx"
# The format that a file name's end stands for.
_SUFFIXES = {".cosi": "cosi", ".raw": "raw", ".img": "raw", ".qcow2": "qcow2", ".vhd": "vhd", ".vhdx": "vhdx"}
FAILURE = "the image was not converted"
_PEERS_FAILURE = "image conversion failed"


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `twinroot convert`: two files, or the peer's flags."""
    parser.usage = "%(prog)s [flags] IN OUT | %(prog)s [flags] --image-file IN --output-image-file OUT"
    parser.add_argument("files", nargs="*", type=Path, metavar="IN OUT", help="the image and the file to write")
    parser.add_argument("--image-file", type=Path, metavar="FILE", help="the image, in place of IN")
    parser.add_argument(
        "--output-image-file", "--output-path", dest="output_image_file", type=Path, metavar="PATH",
        help="the file to write, in place of OUT",
    )  # fmt: skip
    parser.add_argument(
        "--format", "--output-image-format", dest="output_image_format", type=output_format, metavar="FORMAT",
        help=f"{_FORMATS}; by default what the name of the output ends in",
    )  # fmt: skip
    _add_common(parser)
    add_global_flags(parser, top=False)


def add_compatible_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `imagecustomizer convert` (image config spec §11.4)."""
    parser.add_argument("--image-file", type=Path, required=True, metavar="FILE", help="the image to convert")
    parser.add_argument(
        "--output-image-file", "--output-path", dest="output_image_file", type=Path, required=True, metavar="PATH",
        help="the file to write",
    )  # fmt: skip
    parser.add_argument("--output-image-format", type=output_format, required=True, metavar="FORMAT", help=_FORMATS)
    parser.add_argument(
        "--tools-dir", type=Path, metavar="DIR", help="accepted; this host's own tools list an image's packages"
    )
    _add_common(parser)
    add_global_flags(parser, top=False)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--build-dir", type=Path, metavar="DIR", help="scratch space; made when missing")
    parser.add_argument(
        "--cosi-compression-level", type=int, metavar="N", help="zstd level for COSI, 1 to 22 (default: 3)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Convert; the exit code."""
    return run_command(arguments, FAILURE, lambda emit: _convert(arguments, *_files(arguments), emit))


def run_compatible(arguments: argparse.Namespace) -> int:
    """Convert by the peer's rules, which ask for a build directory for COSI; the exit code."""
    return run_command(arguments, _PEERS_FAILURE, lambda emit: _convert_compatible(arguments, emit))


def _convert_compatible(arguments: argparse.Namespace, emit: Emit) -> None:
    if arguments.output_image_format in ("cosi", "baremetal-image") and arguments.build_dir is None:
        raise UsageError(f"--build-dir is needed for the output format {arguments.output_image_format}")
    _convert(arguments, arguments.image_file, arguments.output_image_file, emit)
    log.info("Success!")


def _convert(arguments: argparse.Namespace, source: Path, target: Path, emit: Emit) -> None:
    from twinroot.builder.build_directory import check_output_outside
    from twinroot.builder.options import check_level
    from twinroot.builder.request import DEFAULT_LEVEL, check_format
    from twinroot.output.convert import Conversion, convert

    named = arguments.output_image_format or _SUFFIXES.get(target.suffix.lower())
    if not named:
        raise UsageError("no output format is given", hint=f"use --output-image-format with {_FORMATS}")
    wanted = check_format(named)
    level = arguments.cosi_compression_level
    if level is not None and wanted != "cosi":
        raise UsageError("--cosi-compression-level is only for the output format cosi")
    conversion = Conversion(source, target, wanted, check_level(DEFAULT_LEVEL if level is None else level))
    if arguments.build_dir:
        check_output_outside(arguments.build_dir, target)
    with _scratch(arguments.build_dir) as scratch:
        convert(conversion, scratch, emit)
    log.info("Wrote %s", target)


def _files(arguments: argparse.Namespace) -> tuple[Path, Path]:
    """Input and output, each given by position or by flag."""
    positional: list[Path] = list(arguments.files)
    source = arguments.image_file or (positional.pop(0) if positional else None)
    target = arguments.output_image_file or (positional.pop(0) if positional else None)
    if source is None:
        raise UsageError("no image is given", hint="twinroot convert IN OUT")
    if target is None:
        raise UsageError("no output is given", hint="twinroot convert IN OUT")
    if positional:
        raise UsageError(f"too many files are given: {' '.join(map(str, positional))}", hint="twinroot convert IN OUT")
    return source, target


@contextmanager
def _scratch(build_dir: Path | None) -> Iterator[Path]:
    from twinroot.builder.build_directory import open_build_directory
    from twinroot.output.scratch import large_scratch

    if build_dir is None:
        with large_scratch() as scratch:
            yield scratch
    else:
        with open_build_directory(build_dir) as build:
            yield build.scratch
