"""The identity of an image that is made from another one, not customised."""

from __future__ import annotations

import hashlib
from pathlib import Path
from uuid import UUID, uuid4

from twinroot.epoch import source_date_epoch
from twinroot.plan.identity import Identity, derived_id


def kept_identity(known: UUID | None, source: Path) -> Identity:
    """That of the image `source`; where it has none a random one, under SOURCE_DATE_EPOCH one of the file's bytes."""
    if known:
        return Identity(known)
    epoch = source_date_epoch()
    if epoch is None:
        return Identity(uuid4())
    with source.open("rb") as file:
        return Identity(derived_id([("image", hashlib.file_digest(file, "sha256").hexdigest())], epoch))
