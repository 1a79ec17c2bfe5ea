"""Images that commands only read: files, or COSI files on a web server or in a registry, read where they are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from twinroot.cli.arguments import path_argument

if TYPE_CHECKING:
    from twinroot.formats.cosi.reader import CosiFile

_URL = re.compile(r"(https?|oci)://", re.IGNORECASE)

ImagePlace = Path | str
"""A file, or the URL of a COSI file."""


def image_place(text: str) -> ImagePlace:
    """What an argument names; ArgumentTypeError for nothing."""
    return text if _URL.match(text) else path_argument(text)


@contextmanager
def opened_url(url: str) -> Iterator[CosiFile]:
    """The COSI file at a URL, whoever vouches for it; InputError, FormatError and NetworkError as they are met."""
    from twinroot.agent.storage.image_source import open_image

    with open_image(url, "ignored") as cosi:
        yield cosi
