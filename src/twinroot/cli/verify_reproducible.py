"""`twinroot verify-reproducible`: builds an image twice, in different directories and at different times."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twinroot.cli import customize
from twinroot.cli.arguments import Parser
from twinroot.cli.diff import DIFFERENT, LIMIT, SAME, TROUBLE, show
from twinroot.cli.frame import Show, run_command
from twinroot.events import Emit

if TYPE_CHECKING:
    from twinroot.output.reproduction import NotReproduced

log = logging.getLogger("twinroot.cli")

# The build directories, of different lengths on purpose.
_BUILDS = ("first", "the-second-build")
# FAT counts in steps of 2 s: the second build begins in another one.
_APART = 3.0
# Given to each build anew.
_OWN = ("build_dir", "output_image_file", "log_file")


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `customize`."""
    customize.add_flags(parser)
    for action in parser._actions:
        if action.dest == "output_image_file":
            action.help = "where to put the image when both builds are the same; without, it is not kept"


def run(arguments: argparse.Namespace) -> int:
    """Build twice; exit code 0 for the same bytes, 1 for different ones, 2 when a build or the comparison failed."""
    verdict: list[int] = []
    code = run_command(
        arguments, "it cannot be told whether the image is reproducible", lambda emit: _verify(arguments, emit, verdict)
    )
    return TROUBLE if code else verdict[0]


def _verify(arguments: argparse.Namespace, emit: Emit, verdict: list[int]) -> Show:
    from twinroot.builder.build_directory import check_cache_outside, check_output_outside, open_build_directory
    from twinroot.builder.options import check_options
    from twinroot.epoch import source_date_epoch
    from twinroot.output.files import check_output
    from twinroot.output.reproduction import compare_builds

    check_options(customize.options(arguments))
    epoch = source_date_epoch() or int(time.time())
    name = _output_name(arguments)
    if arguments.output_image_file:
        check_output(arguments.output_image_file)
        check_output_outside(arguments.build_dir, arguments.output_image_file)
    if arguments.cache_dir:
        check_cache_outside(arguments.build_dir, "--cache-dir", arguments.cache_dir)
    with open_build_directory(arguments.build_dir) as build:
        outputs = []
        for count, label in enumerate(_BUILDS, 1):
            begun = time.monotonic()
            output = build.scratch / label / name
            output.parent.mkdir()
            log.info("Build %d of %d, SOURCE_DATE_EPOCH=%d", count, len(_BUILDS), epoch)
            _build(arguments, arguments.build_dir / label, output, epoch, count)
            outputs.append(output)
            if count < len(_BUILDS):
                time.sleep(max(0.0, _APART - (time.monotonic() - begun)))
        scratch = build.scratch / "compare"
        scratch.mkdir()
        found = compare_builds(outputs[0], outputs[1], scratch, emit)
        if found is None and arguments.output_image_file:
            _keep(outputs[0], arguments.output_image_file)
    verdict.append(SAME if found is None else DIFFERENT)
    return lambda: _show(found, arguments)


def _output_name(arguments: argparse.Namespace) -> str:
    """The name of the output, which the members of a COSI file are named after. Refuses formats that cannot be same."""
    from twinroot.config.load import read_image_config
    from twinroot.config.resources import resource_problems
    from twinroot.output.reproduction import check_format

    read = read_image_config(arguments.config_file)
    config = read.loaded(resource_problems(read, input_and_output=False)).config
    output_format = arguments.output_image_format or config.output.image.format
    if output_format:
        check_format(output_format)
    named = arguments.output_image_file or config.output.image.path
    return Path(named).name if named else f"image.{output_format or 'raw'}"


def _build(arguments: argparse.Namespace, build_dir: Path, output: Path, epoch: int, count: int) -> None:
    """Run `twinroot customize` as a process of its own, which a customisation needs; what it says goes to ours."""
    import twinroot
    from twinroot.epoch import VARIABLE
    from twinroot.errors import TwinrootError
    from twinroot.tools.run import proxies, start, stop

    flags = [f"--build-dir={build_dir}", f"--output-image-file={output}", *customize_flags(arguments)]
    if arguments.log_file:
        flags.append(f"--log-file={arguments.log_file}.{count}")
    env = {VARIABLE: str(epoch), "PYTHONPATH": str(Path(twinroot.__file__).parent.parent)} | proxies()
    if path := os.environ.get("TWINROOT_TOOL_PATH"):
        env["TWINROOT_TOOL_PATH"] = path
    sys.stderr.flush()
    process = start([sys.executable, "-m", "twinroot.cli.main", "customize", *flags], stderr=2, env=env)
    try:
        code = process.wait()
    finally:
        stop(process, grace=30.0)
    if code:
        raise TwinrootError(f"build {count} failed", hint="what it said stands above")


def customize_flags(arguments: argparse.Namespace) -> list[str]:
    """The flags of `customize` that were given, as it takes them, without those that differ between the builds."""
    parser = Parser()
    customize.add_flags(parser)
    flags: list[str] = []
    for action in parser._actions:
        value: Any = getattr(arguments, action.dest, None)
        if action.dest in _OWN or not action.option_strings or value is None or value is False:
            continue
        option = action.option_strings[0]
        values = value if isinstance(value, (list, tuple)) else [value]
        flags += [option] if action.nargs == 0 else [f"{option}={each}" for each in values]
    return flags


def _keep(output: Path, target: Path) -> None:
    from twinroot.output.files import replacing
    from twinroot.tools.run import run as run_program

    with replacing(target) as partial:
        run_program(["cp", "--sparse=always", output, partial])
    log.info("Wrote %s", target)


def _show(found: NotReproduced | None, arguments: argparse.Namespace) -> None:
    from twinroot.cli.diff_report import byte_text, first_place

    if found is None:
        print("reproducible: both builds gave the same bytes")
        return
    print(f"not reproducible: the files differ first at {byte_text(found.at)}")
    print(f"first difference: {first_place(found.found) or 'in how the file is put together, not in what it holds'}")
    print()
    show(found.found, argparse.Namespace(json=False, log_color=arguments.log_color), limit=LIMIT)
