"""A cache of disk images from registries, by content.

    CACHE/digests/sha256/HEX/        a complete image: the file under its name, manifest.json
    CACHE/partial/HEX/               one that is being fetched; the next run continues it
    CACHE/locks/HEX                  shared while a run uses the image, exclusive while one makes or removes it
    CACHE/signatures/HEX.json        the signature that counted for it
    CACHE/references/SHA256.json     the digest that a reference last led to, for machines that are offline

HEX is the digest of the manifest. A directory below `digests` appears whole; what is in it is hashed again at each use,
as other programs may have touched it. When the cache outgrows its limit, the images that were not used for longest
go, but never one that somebody uses. The layout of `digests` is that of Image Customizer (image behaviour spec, 34).
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from twinroot.errors import FormatError, InputError
from twinroot.registry.digest import digest_of
from twinroot.registry.manifest import MAX_DOCUMENT, OCI_MANIFEST, Descriptor, Manifest, parse_document
from twinroot.registry.pull import has_content
from twinroot.units import human

log = logging.getLogger(__name__)

_MANIFEST = "manifest.json"
_UNUSED = ".removed"


@dataclass(frozen=True)
class Cache:
    """A directory and how many bytes it may hold."""

    directory: Path
    limit: int

    def entry(self, digest: str) -> Path:
        """Where a complete image is."""
        algorithm, name = digest.split(":")
        return self.directory / "digests" / algorithm / name

    def partial(self, digest: str) -> Path:
        """Where an image is being fetched."""
        return self.directory / "partial" / digest.split(":")[1]

    def signature_file(self, digest: str) -> Path:
        """Where the signature that counted for an image is kept."""
        return self.directory / "signatures" / f"{digest.split(':')[1]}.json"

    def reference_file(self, key: str) -> Path:
        """Where the digest of a reference is kept."""
        return self.directory / "references" / f"{digest_of(key.encode()).split(':')[1]}.json"


def open_cache(cache: Cache) -> Cache:
    """Make the directories; InputError when the cache cannot be used."""
    try:
        for name in ("digests", "partial", "locks", "references", "signatures"):
            (cache.directory / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"--image-cache-dir cannot be used: {error.strerror}", where=str(cache.directory),
            hint="name a writable directory",
        ) from error  # fmt: skip
    return cache


@contextmanager
def locked(cache: Cache, digest: str, *, exclusive: bool) -> Iterator[None]:
    """Hold the lock of an image, waiting for other runs."""
    with (cache.directory / "locks" / digest.split(":")[1]).open("w") as file:
        kind = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
        if not _try_lock(file, kind):
            log.info("Waiting for another run that fetches the same image")
            fcntl.flock(file, kind)
        yield


def find(cache: Cache, digest: str) -> tuple[Manifest, bytes] | None:
    """The manifest of a complete image; None when there is none or it is damaged. To be called with its lock."""
    try:
        with (cache.entry(digest) / _MANIFEST).open("rb") as file:
            raw = file.read(MAX_DOCUMENT)
    except OSError:
        return None
    if digest_of(raw, digest) != digest:
        return None
    with suppress(FormatError):
        found = parse_document(raw, OCI_MANIFEST)
        return (found, raw) if isinstance(found, Manifest) else None
    return None


def file_in(cache: Cache, digest: str, name: str, blob: Descriptor) -> Path | None:
    """The image's file, when it is what the manifest says; marks the image as used just now."""
    entry = cache.entry(digest)
    path = entry / name
    if path.parent.resolve() != (entry.resolve() / name).parent or not has_content(path, blob):
        return None
    with suppress(PermissionError):  # a cache that others own may be used as well
        os.utime(entry)
    return path


def complete(cache: Cache, digest: str, raw_manifest: bytes) -> None:
    """Give what was fetched its final place. To be called with the exclusive lock."""
    partial, entry = cache.partial(digest), cache.entry(digest)
    (partial / _MANIFEST).write_bytes(raw_manifest)
    entry.parent.mkdir(exist_ok=True)
    if entry.exists():  # damaged, or made by another program
        _discard(cache, entry)
    partial.rename(entry)


def remember(cache: Cache, key: str, digest: str) -> None:
    """Keep what a reference led to."""
    path = cache.reference_file(key)
    partial = path.with_name(f".{path.name}.{threading.get_native_id()}")
    partial.write_text(json.dumps({"reference": key, "digest": digest}))
    partial.replace(path)


def remembered(cache: Cache, key: str) -> str | None:
    """What a reference led to last; None when it was never resolved here."""
    try:
        found = json.loads(cache.reference_file(key).read_text())
        digest = found["digest"] if found["reference"] == key else None
        return digest if isinstance(digest, str) and cache.entry(digest).is_dir() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def make_room(cache: Cache, needed: int, keep: str) -> None:
    """Remove what was not used for longest until `needed` more bytes keep the limit; `keep` is a digest to spare.

    InputError when the limit is too small for the image itself.
    """
    if needed > cache.limit:
        raise InputError(
            f"the image has {human(needed)}, the cache may hold {human(cache.limit)}",
            where=str(cache.directory),
            hint="raise --image-cache-size",
        )
    directories = [*cache.directory.glob("digests/*/*"), *cache.directory.glob("partial/*")]
    images = sorted(((_last_use(path), path) for path in directories), key=lambda image: image[0])
    total = sum(_size(path) for _, path in images) + needed
    for _, path in images:
        if total <= cache.limit:
            break
        name = path.name.removesuffix(_UNUSED)
        if name == keep.split(":")[1]:
            continue
        size = _size(path)
        if _remove_unused(cache, path, name):
            log.info("Removed an image from the cache to make room: %s (%s)", name[:12], human(size))
            total -= size


def _remove_unused(cache: Cache, path: Path, name: str) -> bool:
    with (cache.directory / "locks" / name).open("w") as file:
        if not _try_lock(file, fcntl.LOCK_EX):
            return False
        try:
            _discard(cache, path)
        except OSError as error:
            log.warning("%s cannot be removed from the cache: %s", path, error.strerror)
            return False
    return True


def _discard(cache: Cache, path: Path) -> None:
    """Remove a directory; out of the way first, so that half of it never looks like all of it."""
    aside = cache.directory / "partial" / f"{path.name.removesuffix(_UNUSED)}{_UNUSED}"
    if path != aside:
        if aside.exists():
            shutil.rmtree(aside)
        path.rename(aside)
    shutil.rmtree(aside)


def _try_lock(file: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _last_use(path: Path) -> float:
    with suppress(OSError):
        return path.stat().st_mtime
    return 0.0


def _size(path: Path) -> int:
    """Bytes on disk; what disappears meanwhile has none."""
    total = 0
    for file in path.rglob("*"):
        with suppress(OSError):
            total += 0 if file.is_symlink() else file.stat().st_blocks * 512
    return total
