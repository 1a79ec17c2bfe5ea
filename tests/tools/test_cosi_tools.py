"""A COSI file that we wrote, read with tar, zstd and sha384sum alone."""

from __future__ import annotations

import json
from pathlib import Path

from tests.unit.formats.cosi_samples import contents, plan

from twinroot.formats.cosi.writer import write_cosi
from twinroot.tools.run import run


def test_other_programs_read_ours(tmp_path: Path) -> None:
    path = tmp_path / "image.cosi"
    metadata = write_cosi(path, plan(), level=19)
    listed = run(["tar", "--list", "--file", path]).stdout.split()
    assert listed[:3] == ["cosi-marker", "metadata.json", "images/small_gpt.raw.zst"]
    run(["tar", "--extract", "--file", path, "--directory", tmp_path])
    assert json.loads((tmp_path / "metadata.json").read_text())["version"] == "1.2"
    for region in metadata.partition_regions():
        member = tmp_path / region.image.path
        assert run(["sha384sum", member]).stdout.split()[0] == region.image.sha384
        assert member.stat().st_size == region.image.compressed_size
        unpacked = tmp_path / "unpacked"
        run(["zstd", "--decompress", "--quiet", "--force", f"--memory={1 << 27}", member, "-o", unpacked])
        assert region.number is not None
        assert unpacked.read_bytes() == contents()[region.number]
