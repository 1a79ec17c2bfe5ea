"""Opening the image of a host configuration wherever it lies: a file, a web server, a registry.

Host-config spec, section 3, and COSI spec, section 11. Whoever trusts the hash in the configuration trusts what is
read: it is that of the metadata, which holds the hashes of all images.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

import requests

from twinroot.agent.storage.ranged import RangedFile
from twinroot.config.host.image_urls import fault_of
from twinroot.config.registry_reference import Reference, parse_reference
from twinroot.errors import FormatError, InputError
from twinroot.formats.cosi.reader import CosiFile, pread, read_cosi
from twinroot.registry.access import WITHOUT_FLAGS, Access
from twinroot.registry.client import AnswerError, Client
from twinroot.registry.resolve import resolve
from twinroot.registry.session import Session, trust

_READ_TIMEOUT = 60.0  # seconds without a byte; then the connection counts as broken
CONNECT_TIMEOUT = 10.0  # seconds, the default of `internalParams.httpConnectionTimeoutSeconds`


@dataclass(frozen=True)
class FileLocation:
    """A file of this machine."""

    path: Path


@dataclass(frozen=True)
class WebLocation:
    """A file on a web server; `shown` is the URL without what may be secret in it. `login` is name and password."""

    url: str
    shown: str
    login: tuple[str, str] | None = None


@dataclass(frozen=True)
class RegistryLocation:
    """The one layer of an artifact."""

    reference: Reference


Location = FileLocation | WebLocation | RegistryLocation


def location_of(url: str) -> Location:
    """Where a URL, or an absolute path, leads to. InputError for what is neither. Pure."""
    if url.startswith("/"):
        return FileLocation(Path(url))
    parts = _split(url)
    fault = fault_of(url)
    if fault:
        message, hint = fault
        raise InputError(message, where=url, hint=hint)
    if parts.scheme == "file":
        return FileLocation(Path(unquote(parts.path)))
    if parts.scheme in ("http", "https"):
        host = parts.netloc.rpartition("@")[2]
        login = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
        plain = urlunsplit((parts.scheme, host, parts.path, parts.query, ""))
        _split(plain)  # a bracket that the login alone has does not close one of the host
        return WebLocation(plain, urlunsplit((parts.scheme, host, parts.path, "", "")), login)
    reference = parse_reference(url.partition("://")[2])
    assert reference is not None  # fault_of has seen to it
    return RegistryLocation(reference)


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise InputError(f"this is no URL: {error}", where=url, hint="compare it with where the image is") from error
    if not url.isprintable():
        raise InputError("there are characters in the URL that cannot be seen", where=repr(url), hint="remove them")
    return parts


@contextmanager
def open_image(
    url: str, sha384: str, *, access: Access | None = None, connect_timeout: float = CONNECT_TIMEOUT
) -> Iterator[CosiFile]:
    """Open the COSI file at a URL; its metadata is read, and its hash is `sha384`, unless that is `ignored`.

    Raises InputError for what is not there, FormatError for what is no such COSI file, NetworkError.
    """
    expected = None if sha384 == "ignored" else sha384
    match location_of(url):
        case FileLocation(path):
            with _opened(path) as fd:
                yield read_cosi(lambda offset, size: pread(fd, offset, size), str(path), sha384=expected)
        case WebLocation() as web:
            with _web_file(web, connect_timeout) as file:
                yield read_cosi(file.read_at, file.name, sha384=expected)
        case RegistryLocation(reference):
            with Client(reference, access or Access(advice=WITHOUT_FLAGS)) as client, _layer(client) as file:
                yield read_cosi(file.read_at, file.name, sha384=expected)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """A plain file, open for reading: a pipe would wait for ever, a device is not meant."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise InputError(f"the image cannot be opened: {error.strerror}", where=str(path)) from error
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise InputError("this is no plain file", where=str(path))
        yield fd
    finally:
        os.close(fd)


@contextmanager
def _web_file(web: WebLocation, connect_timeout: float) -> Iterator[RangedFile]:
    timeout = (connect_timeout, _READ_TIMEOUT)
    with Session(trust(urlsplit(web.url).netloc)) as session:

        def request(wanted: str) -> AbstractContextManager[requests.Response]:
            try:
                return session.get(
                    web.url, headers={"Range": wanted}, stream=True, timeout=timeout, auth=web.login or session.auth
                )
            except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
                raise InputError(f"this is no URL of a web server: {error}", where=web.shown) from error
            except requests.TooManyRedirects as error:
                raise InputError("the server leads in circles", where=web.shown) from error

        with RangedFile(request, web.shown) as file:
            yield file


@contextmanager
def _layer(client: Client) -> Iterator[RangedFile]:
    """The blob that an artifact consists of. Its digest is that of the whole, so parts of it stand unproved."""
    digest, size = _blob_of(client)

    def request(wanted: str) -> AbstractContextManager[requests.Response]:
        headers = {"Range": wanted}
        return client.open("GET", f"blobs/{digest}", headers=headers, ok=(200, 206, 416), repeat=False)

    name = f"oci://{client.reference}"
    with RangedFile(request, name) as file:
        file.read_at(0, 1)
        if size is not None and file.version and file.version.length != size:
            raise FormatError(f"the layer has {file.version.length} bytes where the manifest says {size}", where=name)
        yield file


def _blob_of(client: Client) -> tuple[str, int | None]:
    """Digest and size of the layer. A digest in the reference may also be that of the blob itself (COSI spec 11.3)."""
    try:
        layers = resolve(client).manifest.layers
    except AnswerError as error:
        if error.status == 404 and client.reference.digest:
            return client.reference.digest, None
        raise
    if len(layers) != 1:
        raise InputError(
            f"the artifact has {len(layers)} layers, an image is exactly one", where=f"oci://{client.reference}"
        )
    return layers[0].digest, layers[0].size
