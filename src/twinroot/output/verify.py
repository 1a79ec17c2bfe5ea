"""Checking a COSI file with progress, refusing at once what is no COSI file at all."""

from __future__ import annotations

from pathlib import Path

from twinroot.errors import InputError
from twinroot.events import Emit, phase
from twinroot.formats.cosi.check import Report, verify, verify_cosi
from twinroot.formats.cosi.reader import CosiFile
from twinroot.output.inspect import is_cosi


def verify_file(path: Path, emit: Emit) -> Report:
    """Check a file against every rule; InputError for one that cannot be read or is a disk image."""
    if not is_cosi(path):
        raise InputError(
            "this is not a COSI file", where=str(path), hint="only COSI files carry hashes to verify; see inspect"
        )
    try:
        with phase(emit, "verify", f"Verifying {path.name}", total=path.stat().st_size) as advance:
            return verify_cosi(path, progress=advance)
    except OSError as error:
        raise InputError(f"the file cannot be read: {error.strerror}", where=str(path)) from error


def verify_open(cosi: CosiFile, emit: Emit) -> Report:
    """Check one that is open, through what it is read by; raises what reading from there does."""
    with phase(emit, "verify", f"Verifying {cosi.name}", total=cosi.length) as advance:
        return verify(cosi.read_at, progress=advance)
