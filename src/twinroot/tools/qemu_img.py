"""qemu-img: what format a disk image has, and converting between formats."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from twinroot.tools.run import run


@dataclass(frozen=True)
class ImageInfo:
    """`format` is qemu's name (raw, qcow2, vpc, vhdx); `virtual_size` is the disk's size in bytes.

    `backing_file` and `data_file` name other files that the image cannot do without.
    """

    format: str
    virtual_size: int
    backing_file: str | None
    data_file: str | None = None


def info(path: Path, *, image_format: str | None = None) -> ImageInfo:
    """Probe an image file; an undetectable format is reported by qemu as raw."""
    wanted = ["-f", image_format] if image_format else []
    text = run(["qemu-img", "info", "--output=json", *wanted, "--", path.resolve()]).stdout
    found = json.loads(text)
    extra = found.get("format-specific", {}).get("data", {})
    return ImageInfo(found["format"], int(found["virtual-size"]), found.get("backing-filename"), extra.get("data-file"))


def data_end(path: Path, image_format: str) -> int:
    """The offset in the image file behind the last data that it refers to; 0 where the format does not tell (VHDX)."""
    rows = json.loads(run(["qemu-img", "map", "--output=json", "-f", image_format, path.resolve()]).stdout)
    return max((row["offset"] + row["length"] for row in rows if "offset" in row), default=0)


def convert(
    source: Path,
    target: Path,
    *,
    source_format: str,
    target_format: str,
    options: str | None = None,
    progress: Callable[[float], None] | None = None,
) -> None:
    """Convert an image; holes stay holes. `options` are qemu's `-o`; `progress` sees percents from 0 to 100."""
    argv: list[str | Path] = ["qemu-img", "convert", "-W", "-m", "8", "-O", target_format]
    if options:
        argv += ["-o", options]
    if progress:
        argv += ["-p"]
    if source_format == "vpc":
        # Sized by the footer's current size, as the hypervisor and the cloud do, not by disk geometry.
        size = "driver=vpc,force_size_calc=current_size"
        argv += ["--image-opts", f"{size},file.driver=file,file.filename={_filename(source)}"]
    else:
        argv += ["-f", source_format, source.resolve()]
    run([*argv, target.resolve()], on_line=_percents(progress) if progress else None)


def create_overlay(base: Path, target: Path, *, base_format: str) -> None:
    """A qcow2 file that shows `base` and collects what is written."""
    run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", base.resolve(), "-F", base_format, target])


def _filename(path: Path) -> str:
    # Commas separate options in qemu's syntax; a doubled comma is a comma.
    return str(path.resolve()).replace(",", ",,")


def _percents(progress: Callable[[float], None]) -> Callable[[str], None]:
    def see(line: str) -> None:
        text = line.strip().removeprefix("(").split("/")[0]
        if text.replace(".", "", 1).isdigit():
            progress(float(text))

    return see
