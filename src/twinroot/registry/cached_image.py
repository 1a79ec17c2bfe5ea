"""A disk image of a registry as a file of the cache, fetched when it is not there yet."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from twinroot.errors import FormatError, NetworkError
from twinroot.events import Emit
from twinroot.registry import cache as store
from twinroot.registry.access import Fetching
from twinroot.registry.cache import Cache
from twinroot.registry.client import Client
from twinroot.registry.manifest import Descriptor
from twinroot.registry.pull import files_of, pull
from twinroot.registry.resolve import Resolved, resolve
from twinroot.registry.signed import check_again, check_now
from twinroot.registry.source import RegistryImage, disk_image_of
from twinroot.registry.trust import policy_for

log = logging.getLogger(__name__)


@contextmanager
def cached_image(image: RegistryImage, fetching: Fetching, emit: Emit) -> Iterator[Path]:
    """The image's file, which stays in the cache at least while the block runs and must not be written.

    A tag is asked for at the registry each time; when that cannot be reached, what the tag last led to is used.
    """
    cache = store.open_cache(Cache(fetching.cache, fetching.cache_limit))
    policy = policy_for(image.reference, fetching.trust, azure_linux=image.azure_linux)
    key = f"{image.reference} {image.platform or ''}".strip()
    with ExitStack() as stack:
        with Client(image.reference, fetching.access) as client:
            try:
                resolved = resolve(client, image.platform)
            except NetworkError as error:
                digest = store.remembered(cache, key)
                if digest is None:
                    raise
                log.warning("%s; using what is in the cache", error)
                if policy:
                    check_again(cache, digest, policy, str(image.reference))
                stack.enter_context(store.locked(cache, digest, exclusive=False))
                path = _cached(cache, digest, str(image.reference))
            else:
                digest = resolved.descriptor.digest
                if policy:
                    check_now(client, resolved, cache, policy)
                path = _present(client, resolved, cache, stack, emit)
                store.remember(cache, key, digest)
        if path is None:
            raise FormatError(
                "the image in the cache is damaged, and the registry cannot be reached",
                where=str(cache.entry(digest)),
                hint="try again when the registry can be reached",
            )
        log.info("Base image %s is %s", image.reference, digest)
        yield path


def _present(client: Client, resolved: Resolved, cache: Cache, stack: ExitStack, emit: Emit) -> Path | None:
    """The image's file, fetched if need be; its lock is held on the stack."""
    where, digest = str(client.reference), resolved.descriptor.digest
    files = files_of(resolved, where)
    name = disk_image_of(files, where)
    with ExitStack() as attempt:
        attempt.enter_context(store.locked(cache, digest, exclusive=False))
        path = _cached(cache, digest, where)
        if path:
            stack.push(attempt.pop_all())
            return path
    with store.locked(cache, digest, exclusive=True):
        # Another run may have been quicker.
        if not _cached(cache, digest, where):
            store.make_room(cache, files[name].size, digest)
            partial = cache.partial(digest)
            partial.mkdir(exist_ok=True)
            pull(client, {name: files[name]}, partial, emit)
            store.complete(cache, digest, resolved.raw)
    stack.enter_context(store.locked(cache, digest, exclusive=False))
    return _cached(cache, digest, where)


def _cached(cache: Cache, digest: str, where: str) -> Path | None:
    """The file of a complete image whose content is right. To be called with its lock."""
    found = store.find(cache, digest)
    if not found:
        return None
    manifest, raw = found
    descriptor = Descriptor("", digest, len(raw))
    files = files_of(Resolved(descriptor, descriptor, raw, manifest), where)
    name = disk_image_of(files, where)
    return store.file_in(cache, digest, name, files[name])
