"""In what two images differ: the values behind `twinroot diff` and `twinroot verify-reproducible`.

`as_json` is the interface for machines; docs/how-to/compare-images.md explains its keys.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from twinroot.output.contents import ByteDifference


@dataclass(frozen=True)
class Field:
    """A property with another value; None where there is none."""

    name: str
    before: str | int | None
    after: str | int | None


@dataclass(frozen=True)
class FileDifference:
    """A file, directory or the like that is `added`, `removed` or `changed` (`change`).

    `kind` is what it is, after the change. `at` is where the contents of a changed file differ first. `fields` has
    what else changed; of added and removed ones all there is, on one side. `sha256` of either side where it is known.
    """

    path: str
    change: str
    kind: str
    fields: tuple[Field, ...] = ()
    at: ByteDifference | None = None
    sha256: tuple[str | None, str | None] = (None, None)


@dataclass(frozen=True)
class PartitionDifference:
    """A partition that is `added`, `removed` or `changed`, and what differs in it.

    `name` is its label or mount point. `at` is where its bytes differ first; only looked at where it has no files that
    can be read, or in search of the first difference.
    """

    number: int
    name: str
    change: str
    fields: tuple[Field, ...] = ()
    files: tuple[FileDifference, ...] = ()
    at: ByteDifference | None = None


@dataclass(frozen=True)
class PackageDifference:
    """A package: versions as `version-release.arch`, several separated by blanks; None where it is not installed."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class ImageDifference:
    """Everything that differs between the images `before` and `after` (file names). `notes`: what was not looked at.

    `metadata` is what two COSI files say of their disks.
    """

    before: str
    after: str
    disk: tuple[Field, ...] = ()
    partitions: tuple[PartitionDifference, ...] = ()
    packages: tuple[PackageDifference, ...] = ()
    boot: tuple[Field, ...] = ()
    metadata: tuple[Field, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return not (self.disk or self.partitions or self.packages or self.boot or self.metadata)


def as_json(found: ImageDifference) -> dict[str, Any]:
    """The differences as a JSON object; every key is always there."""
    return {
        "before": _text(found.before),
        "after": _text(found.after),
        "equal": found.equal,
        "disk": [_field(field) for field in found.disk],
        "partitions": [_partition(partition) for partition in found.partitions],
        "packages": [{"name": p.name, "before": p.before, "after": p.after} for p in found.packages],
        "boot": [_field(field) for field in found.boot],
        "metadata": [_field(field) for field in found.metadata],
        "notes": [_text(note) for note in found.notes],
    }


def _field(field: Field) -> dict[str, Any]:
    before, after = (_text(value) if isinstance(value, str) else value for value in (field.before, field.after))
    return {"name": _text(field.name), "before": before, "after": after}


def _text(text: str) -> str:
    """Names as JSON can hold them: bytes that are no UTF-8 as `\\xff`."""
    return os.fsencode(text).decode("utf-8", "backslashreplace")


def _partition(found: PartitionDifference) -> dict[str, Any]:
    return {
        "number": found.number,
        "name": _text(found.name),
        "change": found.change,
        "fields": [_field(field) for field in found.fields],
        "files": [_file(file) for file in found.files],
        "bytes": _bytes(found.at),
    }


def _file(found: FileDifference) -> dict[str, Any]:
    return {
        "path": _text(found.path),
        "change": found.change,
        "kind": found.kind,
        "fields": [_field(field) for field in found.fields],
        "bytes": _bytes(found.at),
        "sha256": {"before": found.sha256[0], "after": found.sha256[1]},
    }


def _bytes(at: ByteDifference | None) -> dict[str, Any] | None:
    return None if at is None else {"offset": at.offset, "before": at.before.hex(), "after": at.after.hex()}
