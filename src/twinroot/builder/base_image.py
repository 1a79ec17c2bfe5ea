"""The base image of a request as a file, wherever it comes from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from twinroot.builder.request import CustomizeRequest
from twinroot.events import Emit
from twinroot.output.space import naming_full_disk


@contextmanager
def base_image(request: CustomizeRequest, emit: Emit) -> Iterator[Path]:
    """The file, for reading. One from a registry is fetched into the cache and stays there while the block runs."""
    if isinstance(request.base, Path):
        yield request.base
        return
    from twinroot.registry.cached_image import cached_image

    assert request.fetching is not None  # resolve_request has seen to it
    with ExitStack() as stack:
        with naming_full_disk(request.fetching.cache, "image cache"):
            file = stack.enter_context(cached_image(request.base, request.fetching, emit))
        yield file
