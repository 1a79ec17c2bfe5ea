"""The events of a boot that are the same on every machine, for systemd-pcrlock. Pure.

Sources: the TCG PC Client Platform Firmware Profile (separators and actions), systemd.pcrlock(5) (file names and
format), systemd-pcrphase.service(8) (words measured into PCR 11).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

_ALGORITHMS = ("sha1", "sha256", "sha384", "sha512")
_BOOT_PCRS = range(7)  # PCR 7 has a separator of its own, as it comes before the firmware loads anything
_PHASES = {
    "750-enter-initrd": "enter-initrd",
    "800-leave-initrd": "leave-initrd",
    "850-sysinit": "sysinit",
    "900-ready": "ready",
    "950-shutdown": "shutdown",
    "990-final": "final",
}
_PHASE_PCR = 11
_NO_ERROR, _ERROR = bytes(4), b"\xff" * 4


def files() -> dict[str, str]:
    """Content of each file by its path below `pcrlock.d`. Several files in a `.pcrlock.d` are alternatives."""
    found = {
        "350-action-efi-application.pcrlock": _records([(4, b"Calling EFI Application from Boot Option")]),
        "700-action-efi-exit-boot-services.pcrlock.d/300-present.pcrlock": _records(
            [(5, b"Exit Boot Services Invocation"), (5, b"Exit Boot Services Returned with Success")]
        ),
        "700-action-efi-exit-boot-services.pcrlock.d/600-absent.pcrlock": _records([]),
    }
    for name, data in (("300-0x00000000", _NO_ERROR), ("600-0xffffffff", _ERROR)):
        found[f"400-secureboot-separator.pcrlock.d/{name}.pcrlock"] = _records([(7, data)])
        found[f"500-separator.pcrlock.d/{name}.pcrlock"] = _records([(pcr, data) for pcr in _BOOT_PCRS])
    for name, word in _PHASES.items():
        found[f"{name}.pcrlock"] = _records([(_PHASE_PCR, word.encode())])
    return dict(sorted(found.items()))


def _records(events: Iterable[tuple[int, bytes]]) -> str:
    """The JSON of events, each the number of a PCR and the data that is measured."""
    records = [
        {
            "pcr": pcr,
            "digests": [{"hashAlg": name, "digest": hashlib.new(name, data).hexdigest()} for name in _ALGORITHMS],
        }
        for pcr, data in events
    ]
    return json.dumps({"records": records}, separators=(",", ":")) + "\n"
