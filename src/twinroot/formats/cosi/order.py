"""Which members an archive should have for its metadata, in which order and how long: T2, T7 to T13, 3.4. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from twinroot.formats.cosi import tar
from twinroot.formats.cosi.model import Finding, Metadata
from twinroot.formats.cosi.writer import MARKER, METADATA

_ARCHIVE = "archive"


def order_findings(members: Sequence[tar.Member], metadata: Metadata) -> Iterator[Finding]:
    """What is wrong with the members and their order, of which readers need nothing."""
    names = [member.name for member in members]
    images = metadata.image_files()
    expected = [MARKER, METADATA] if metadata.version >= (1, 2) else [METADATA]
    region = metadata.gpt_region()
    expected += [region.image.path] if region else []
    rules = {MARKER: "T7", METADATA: "T9"}
    for place, name in enumerate(expected):
        if names[place : place + 1] != [name]:
            yield Finding(rules.get(name, "T10"), name, f"must be member {place + 1} of the archive")
    if metadata.version >= (1, 2):
        if any(member.name == MARKER and member.size for member in members):
            yield Finding("T7", MARKER, "must be empty")
        regions = [each.image.path for each in metadata.disk.regions] if metadata.disk else []
        wanted, there = set(regions), set(names)
        # What is missing is told by whoever looks for it.
        if [name for name in names if name in wanted] != [path for path in regions if path in there]:
            yield Finding("T12", _ARCHIVE, "the images are not in the order of the regions")
    for member in members:
        if member.name not in images and member.name not in expected:
            message = "is not mentioned in the metadata and will be ignored"
            yield Finding("T13", member.name, message, error=False)
        elif not member.regular:
            yield Finding("T2", member.name, "is not a regular file")
        image = images.get(member.name)
        if image and member.size != image.compressed_size:
            message = f"is {member.size} bytes long, but the metadata say {image.compressed_size}"
            yield Finding("3.4", member.name, message)
