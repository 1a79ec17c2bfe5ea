"""A COSI file from partition contents: shrinks what can be shrunk, says what is inside, hands it to the writer.

What goes into the metadata: image behaviour spec §27, COSI spec §3 and §6.
"""

from __future__ import annotations

from dataclasses import dataclass

from twinroot.distro.packages import InstalledPackage


@dataclass(frozen=True)
class OsFacts:
    """What the metadata says of the operating system. `architecture` is x86_64 or arm64."""

    architecture: str
    os_release: str
    packages: tuple[InstalledPackage, ...]
