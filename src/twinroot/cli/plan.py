"""`twinroot plan`: the steps that `customize` would take and the disk it would make, without running anything."""

from __future__ import annotations

import argparse
import logging
import sys
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from twinroot.cli import customize
from twinroot.cli.frame import Show, print_json, problem_record, report_problems, run_command
from twinroot.cli.screen import screen_width, wants_color

if TYPE_CHECKING:
    from twinroot.cli.drawing import Characters, Line
    from twinroot.config.load import LoadedConfig
    from twinroot.errors import Problem
    from twinroot.plan.steps import Step


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `customize`, of which only the configuration is needed, and `--json`."""
    parser.add_argument("--json", action="store_true", help="print everything as one JSON object")
    customize.add_flags(parser, needs_build_dir=False)


def run(arguments: argparse.Namespace) -> int:
    """Plan; the exit code."""
    return run_command(arguments, "this cannot be planned", lambda _emit: _plan(arguments))


def _plan(arguments: argparse.Namespace) -> Show:
    from twinroot.builder.options import check_options
    from twinroot.builder.overrides import format_findings, need_feature, snapshot_time
    from twinroot.config.checks import at_place
    from twinroot.config.image.not_built import unbuilt
    from twinroot.config.load import read_image_config
    from twinroot.plan.steps import Ends, all_steps

    check_options(customize.options(arguments))
    read = read_image_config(arguments.config_file)
    loaded = read.loaded(read.placed(format_findings(read.config, arguments.output_image_format)))
    report_problems(read.warnings, logging.WARNING, arguments.log_format)
    if arguments.image:
        need_feature(loaded.config, "input-image-oci", "--image")
    packages_of = snapshot_time(arguments.package_snapshot_time or None, loaded.config)
    configured = loaded.config.output.image
    image_given = bool(arguments.image_file or arguments.image)
    format_given = bool(arguments.output_image_format)
    findings = unbuilt(loaded.config, image_given=image_given, format_given=format_given)
    missing = [at_place(loaded.document, finding) for finding in findings]
    ends = Ends(
        base_image=_text(arguments.image_file or arguments.image) or _configured_image(loaded),
        output_file=_text(arguments.output_image_file or loaded.resolve(("output", "image", "path"))),
        output_format=arguments.output_image_format or configured.format,
    )
    steps = all_steps(loaded, ends, packages_of)
    return lambda: _show(loaded, steps, missing, arguments)


def _configured_image(loaded: LoadedConfig) -> str | None:
    image = loaded.config.input.image
    if image.oci:
        return f"oci:{image.oci.uri}"
    if image.azure_linux:
        return f"azurelinux:{image.azure_linux.variant}:{image.azure_linux.version}"
    return _text(loaded.resolve(("input", "image", "path")))


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _show(loaded: LoadedConfig, steps: tuple[Step, ...], missing: list[Problem], arguments: argparse.Namespace) -> None:
    from twinroot.cli.drawing import characters, paint

    if arguments.json:
        print_json(_as_json(loaded, steps, missing))
        return
    lines = [*_disk(loaded, characters(sys.stdout.encoding)), *_step_lines(loaded, steps), *_missing_lines(missing)]
    color = wants_color(arguments.log_color, sys.stdout)
    print("\n".join(paint(line, color=color) for line in lines))


def _disk(loaded: LoadedConfig, chars: Characters) -> Iterator[Line]:
    from twinroot.cli.disk_bar import Segment, draw
    from twinroot.cli.drawing import HUES, Span
    from twinroot.cli.inspect_report import short

    if not loaded.layout:
        return
    mounts = _mounts(loaded)
    boxes = []
    end = 0
    for part in sorted(loaded.layout.partitions, key=lambda part: part.start):
        if part.start - end > loaded.layout.disk_size // 250:
            boxes.append(Segment(part.start - end, ("free", short(part.start - end)), free=True))
        rows = (f"{part.number} {part.id}", mounts.get(part.id, ""), short(part.size))
        boxes.append(Segment(part.size, rows, (part.number - 1) % len(HUES)))
        end = part.end
    if loaded.layout.disk_size - end > loaded.layout.disk_size // 250:
        boxes.append(Segment(loaded.layout.disk_size - end, ("free", short(loaded.layout.disk_size - end)), free=True))
    yield [Span(f"Disk of {short(loaded.layout.disk_size)}", "bold")]
    yield from draw(boxes, screen_width(), chars)
    yield []


def _mounts(loaded: LoadedConfig) -> dict[str, str]:
    """What is mounted of each partition, or the type of its file system, by the partition's id."""
    behind = {device.id: device.data_device_id or "" for device in loaded.config.storage.verity}
    found = {}
    for filesystem in loaded.config.storage.filesystems:
        shown = ", ".join(point.path for _, point in filesystem.mounts()) or filesystem.type or ""
        found[behind.get(filesystem.device_id, filesystem.device_id)] = shown
    return found


def _step_lines(loaded: LoadedConfig, steps: tuple[Step, ...]) -> Iterator[Line]:
    from twinroot.cli.drawing import Span

    for number, step in enumerate(steps, 1):
        line = [Span(f"{number:>2}  ", "dim"), Span(step.title)]
        if step.file is not None and len(loaded.files) > 1:
            line.append(Span(f"  ({loaded.files[step.file].path})", "dim"))
        yield line
        for detail in step.details:
            for piece in textwrap.wrap(detail, screen_width() - 4, break_on_hyphens=False, break_long_words=False):
                yield [Span(f"    {piece}", "dim")]


def _missing_lines(missing: list[Problem]) -> Iterator[Line]:
    from twinroot.cli.drawing import Span

    if missing:
        yield []
        yield [Span("This version of twinroot cannot carry it out:", "yellow")]
        for problem in missing:
            yield [Span(f"  {problem}")]


def _as_json(loaded: LoadedConfig, steps: tuple[Step, ...], missing: list[Problem]) -> dict[str, Any]:
    files = [str(file.path) for file in loaded.files]
    shown = [
        {
            "action": str(step.action),
            "title": step.title,
            "details": list(step.details),
            "file": None if step.file is None else files[step.file],
        }
        for step in steps
    ]
    mounts = _mounts(loaded)
    disk = loaded.layout and {
        "size": loaded.layout.disk_size,
        "partitions": [
            {
                "number": part.number, "id": part.id, "label": part.label, "type": part.type,
                "typeUuid": str(part.type_uuid), "start": part.start, "size": part.size, "content": mounts.get(part.id),
            }
            for part in loaded.layout.partitions
        ],
    }  # fmt: skip
    return {"files": files, "steps": shown, "disk": disk, "notBuilt": [problem_record(each) for each in missing]}
