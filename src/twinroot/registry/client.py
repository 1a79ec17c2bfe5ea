"""Requests to one repository of a registry: retries, authentication, and errors in words.

Distribution specification 1.1. A request is repeated after broken connections and answers that `retry` names, with
growing pauses; 401 leads to authentication once, every other answer is final.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import requests

from twinroot.config.registry_reference import Reference
from twinroot.errors import FormatError, InputError, NetworkError
from twinroot.registry import retry
from twinroot.registry.access import Access
from twinroot.registry.authentication import Authentication
from twinroot.registry.credentials import Credentials
from twinroot.registry.session import Broken, InsecureRedirectError, Session, is_loopback, network_error, trust

log = logging.getLogger(__name__)

_TIMEOUT = (10.0, 60.0)  # seconds to connect, and without a byte
_ATTEMPTS_TO_CONNECT = 3
_HOSTS = {"docker.io": "registry-1.docker.io"}
_NOT_FOUND = "look at the spelling of repository and tag; some registries say so as well when one has to log in"
_SAID = {401: "the registry wants credentials", 403: "access is denied", 404: "not found"}


class AnswerError(InputError):
    """A registry's answer that is final: its HTTP `status`."""

    def __init__(self, status: int, message: str, *, where: str, hint: str | None = None) -> None:
        super().__init__(message, where=where, hint=hint)
        self.status = status


@dataclass(frozen=True)
class Answer:
    """A whole answer, its body read."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class StoppedError(Exception):
    """Somebody wants the work ended."""


class Client:
    """A repository of a registry. Safe to use from several threads."""

    def __init__(self, reference: Reference, access: Access, credentials: Credentials | None = None) -> None:
        self.reference = reference
        self.advice = access.advice
        self.stop = threading.Event()
        host = _HOSTS.get(reference.registry, reference.registry)
        self._session = Session(trust(reference.registry, access.ca_files))
        scheme = self._scheme(host, access)
        self.registry_url = f"{scheme}://{host}/v2/"
        self.base = f"{self.registry_url}{reference.repository}/"
        self._authentication = Authentication(reference, access, credentials, self._token_answer)
        self._lock = threading.Lock()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop.set()
        self._session.close()

    def read(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, data: bytes | None = None,
        ok: Sequence[int] = (200,), limit: int = 4 << 20, repeat: bool = True,
    ) -> Answer:  # fmt: skip
        """A request with its whole answer. `url` may be relative to the repository; the body may have `limit` bytes.

        Without `repeat` a failure is for the caller to repair. Raises AnswerError, NetworkError, FormatError for a
        body that is too long.
        """
        attempt = 0
        while True:
            try:
                with self.open(method, url, headers=headers, data=data, ok=ok, repeat=repeat) as response:
                    return Answer(response.status_code, response.headers, _body(response, limit))
            except Broken as error:
                attempt += 1
                self.pause(attempt, network_error(error, self.url(url), self.advice), limit=None if repeat else 1)

    def public(self, url: str, limit: int) -> bytes:
        """The body of a public URL that is none of this registry's; nothing is sent that says who asks."""
        response = self._repeated("GET", url, {}, None)
        try:
            if response.status_code != 200:
                raise NetworkError(f"the server answers {response.status_code} {response.reason}", where=url)
            return _body(response, limit)
        except Broken as error:
            raise network_error(error, url, self.advice) from error
        finally:
            response.close()

    @contextmanager
    def open(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, data: bytes | None = None,
        ok: Sequence[int] = (200,), repeat: bool = True,
    ) -> Iterator[requests.Response]:  # fmt: skip
        """A request whose answer's body the caller reads; reading it may raise `Broken`."""
        response = self._authenticated(method, self.url(url), headers or {}, data, repeat=repeat)
        try:
            if response.status_code not in ok:
                raise self._refused(response)
            yield response
        finally:
            response.close()

    def url(self, url: str) -> str:
        """A URL relative to the repository made whole."""
        return urljoin(self.base, url)

    def pause(self, attempt: int, failure: Exception, asked: float | None = None, limit: int | None = None) -> None:
        """Wait before the repetition number `attempt`, or raise `failure` when that is one too many."""
        if attempt >= (limit or retry.MAX_ATTEMPTS) or isinstance(failure, InputError):
            raise failure
        if asked is not None and asked > retry.LONGEST_WAIT:
            raise NetworkError(
                f"the registry asks to wait for {asked:.0f} seconds", where=self.base, hint="try again later"
            ) from failure
        wait = max(retry.backoff(attempt), asked or 0.0)
        log.debug("%s; trying again in %.2f s", failure, wait)
        if asked:
            log.info("The registry asks to wait for %.0f s", asked)
        if self.stop.wait(wait):
            raise StoppedError

    def _authenticated(
        self, method: str, url: str, headers: Mapping[str, str], data: bytes | None, *, repeat: bool
    ) -> requests.Response:
        response, used = self._signed(method, url, headers, data, repeat=repeat)
        if response.status_code == 401:
            challenge = response.headers.get("WWW-Authenticate", "")
            response.close()
            with self._lock:
                # Another thread may have been quicker.
                renewed = self._header(url) != used or self._authentication.renew(challenge)
            if renewed:
                response, _ = self._signed(method, url, headers, data, repeat=repeat)
        return response

    def _signed(
        self, method: str, url: str, headers: Mapping[str, str], data: bytes | None, *, repeat: bool
    ) -> tuple[requests.Response, str | None]:
        used = self._header(url)
        signed = {**headers, **({"Authorization": used} if used else {})}
        return self._repeated(method, url, signed, data, repeat=repeat), used

    def _header(self, url: str) -> str | None:
        """What authenticates us, for URLs of this registry alone: an upload may lead elsewhere."""
        return self._authentication.header if url.startswith(self.registry_url) else None

    def _repeated(
        self, method: str, url: str, headers: Mapping[str, str], data: bytes | None, *, repeat: bool = True
    ) -> requests.Response:
        """The first answer that is not for a repetition."""
        attempt = 0
        while True:
            attempt += 1
            try:
                response = self._once(method, url, headers, data)
            except Broken as error:
                connecting = isinstance(error, requests.ConnectionError) and not _was_connected(error)
                limit = 1 if not repeat else _ATTEMPTS_TO_CONNECT if connecting else None
                self.pause(attempt, network_error(error, url, self.advice), limit=limit)
                continue
            if response.status_code not in retry.REPEATABLE:
                return response
            asked = retry.asked_to_wait(response.headers.get("Retry-After"))
            failure = NetworkError(
                f"the registry keeps failing: {response.status_code} {response.reason}{_message(response)}", where=url
            )
            response.close()
            self.pause(attempt, failure, asked, None if repeat else 1)

    def _once(self, method: str, url: str, headers: Mapping[str, str], data: bytes | None) -> requests.Response:
        log.debug("%s %s", method, url)
        try:
            return self._session.request(
                method, url, headers=dict(headers), data=data, stream=True, timeout=_TIMEOUT,
                allow_redirects=method in ("GET", "HEAD"),
            )  # fmt: skip
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
            raise InputError(f"this is no URL of a registry: {error}", where=url) from error
        except requests.TooManyRedirects as error:
            raise InputError("the registry leads in circles", where=url) from error

    def _token_answer(self, method: str, url: str, headers: Mapping[str, str], data: bytes | None) -> Answer:
        if url.startswith("http:") and not self.base.startswith("http:") and not is_loopback(url.split("/")[2]):
            raise InsecureRedirectError("the registry wants credentials sent without TLS", where=url)
        response = self._repeated(method, url, headers, data)
        try:
            return Answer(response.status_code, response.headers, _body(response, 1 << 20))
        except Broken as error:
            raise network_error(error, url, self.advice) from error
        finally:
            response.close()

    def _refused(self, response: requests.Response) -> AnswerError:
        status, registry = response.status_code, self.reference.registry
        said = _SAID.get(status, f"the registry answers {status} {response.reason}")
        user = self._authentication.user
        if status == 401 and user:
            said = f"the registry refuses the credentials of {user}"
        hints = {401: self.advice.login, 403: self.advice.other_login, 404: _NOT_FOUND}
        hint = hints[status].format(registry=registry) if status in hints else None
        where = str(self.reference) if self.reference.repository else registry
        return AnswerError(status, f"{said}{_message(response)}", where=where, hint=hint)

    def _scheme(self, host: str, access: Access) -> str:
        """https, but on loopback whatever the registry speaks."""
        if access.plain_http:
            return "http"
        if is_loopback(host):
            try:
                self._session.get(f"https://{host}/v2/", stream=True, timeout=_TIMEOUT).close()
            except requests.exceptions.SSLError as error:
                if not isinstance(network_error(error, host, access.advice), InputError):
                    return "http"
            except Broken:
                pass  # whatever it is, it will be told of the first request
        return "https"


def _was_connected(error: Exception) -> bool:
    """Whether a connection stood, so that it may work the next time as well."""
    return not any(word in repr(error) for word in ("NewConnectionError", "NameResolution", "ConnectTimeout"))


def _body(response: requests.Response, limit: int) -> bytes:
    data: bytes = response.raw.read(limit + 1, decode_content=True)
    if len(data) > limit:
        raise FormatError(f"the answer is longer than {limit} bytes", where=response.url)
    expected = response.headers.get("Content-Length")
    if expected and expected.isdigit() and response.request.method != "HEAD" and len(data) < int(expected):
        raise requests.ConnectionError(f"{len(data)} of {expected} bytes came")
    return data


def _message(response: requests.Response) -> str:
    """What a registry says in the error format of the distribution specification, as `: text`."""
    with suppress(Exception):  # a decoration of an error must not hide it
        found: Any = json.loads(response.raw.read(65536, decode_content=True))
        texts = [str(error.get("message") or error.get("code") or "") for error in found["errors"]]
        shown = "; ".join(text for text in texts if text and text.isprintable())[:300]
        return f": {shown}" if shown else ""
    return ""
