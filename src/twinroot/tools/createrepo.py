"""createrepo_c: repository metadata for a directory of RPM files."""

from __future__ import annotations

from pathlib import Path

from twinroot.tools.run import run


def describe(directory: Path, output: Path, *, prefix: str) -> None:
    """Write `output/repodata` for the RPMs below `directory`, reusing what is already there for unchanged files.

    `directory` itself is only read. Package locations in the metadata begin with `prefix`.
    """
    output.mkdir(parents=True, exist_ok=True)
    argv: list[str | Path] = [
        "createrepo_c",
        "--quiet",
        "--outputdir",
        output,
        "--location-prefix",
        prefix,
        "--general-compress-type",
        "gz",
    ]
    if (output / "repodata").exists():
        argv += ["--update"]
    run([*argv, directory])
