"""HTTP sessions with registries: certificates, proxies, redirects, and words for what goes wrong.

Proxies come from the environment (HTTPS_PROXY, HTTP_PROXY, NO_PROXY). The system's certificates are trusted, those of
SSL_CERT_FILE in their place, and besides those that docker and podman keep for a registry (certs.d) and those that
were asked for.
"""

from __future__ import annotations

import ipaddress
import re
import ssl
from collections.abc import Iterable
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from twinroot import __version__
from twinroot.errors import InputError, NetworkError, TwinrootError
from twinroot.registry.access import Advice

_CERTIFICATES = ("/etc/docker/certs.d", "/etc/containers/certs.d")
# Of Debian; of Fedora and Azure Linux; of SUSE.
_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem")
CONNECTIONS = 8
# What a connection can break with; urllib3's own come from reading a body.
Broken = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError, HTTPError)


class InsecureRedirectError(InputError):
    """A server sent us from HTTPS to plain HTTP."""


class Session(requests.Session):
    """No cookies (some registries take whoever sends them for a browser), no .netrc, no way from HTTPS to HTTP."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__()
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.headers["User-Agent"] = f"twinroot/{__version__}"
        # Compressed by the way, bytes would neither match ranges nor digests.
        self.headers["Accept-Encoding"] = "identity"
        self.auth = _unchanged
        self.mount("https://", _Adapter(context))
        self.mount("http://", HTTPAdapter(pool_maxsize=CONNECTIONS))

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """Credentials are for the host that they were meant for."""
        before, after = response.request.url or "", prepared_request.url or ""
        if self.should_strip_auth(before, after):  # type: ignore[no-untyped-call]
            prepared_request.headers.pop("Authorization", None)

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        """Proxies of the environment, but none to reach this machine itself."""
        settings = super().merge_environment_settings(url, proxies, stream, verify, cert)
        return {**settings, "proxies": {}} if is_loopback(urlsplit(str(url)).netloc) else settings

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Where a response leads to."""
        target = super().get_redirect_target(resp)
        if target and resp.url.startswith("https:") and urlsplit(urljoin(resp.url, target)).scheme != "https":
            raise InsecureRedirectError(
                f"the server leads to {urlsplit(urljoin(resp.url, target)).hostname} without TLS", where=resp.url
            )
        return target


class _Adapter(HTTPAdapter):
    """HTTPS by one SSL context."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__(pool_maxsize=CONNECTIONS)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """Give the context to the connections."""
        super().init_poolmanager(*arguments, **options, ssl_context=self._context)

    def proxy_manager_for(self, proxy: Any, **options: Any) -> Any:
        """Give the context to those through proxies."""
        return super().proxy_manager_for(proxy, **options, ssl_context=self._context)

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """The context verifies; requests would put the certificates in that come with it."""
        conn.cert_reqs = "CERT_REQUIRED"


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """An "authentication" that keeps requests from looking into .netrc."""
    return request


def trust(host: str, ca_files: Iterable[Path] = ()) -> ssl.SSLContext:
    """What is trusted for a registry; InputError for a file that holds no certificates."""
    context = ssl.create_default_context()
    if not context.cert_store_stats()["x509_ca"]:
        context.load_verify_locations(_system_bundle())
    known = [path for parent in _CERTIFICATES for path in sorted(Path(parent, host).glob("*.crt"))]
    for path in (*known, *ca_files):
        try:
            context.load_verify_locations(path)
        except FileNotFoundError as error:
            raise InputError("the file with certificates does not exist", where=str(path)) from error
        except (OSError, ssl.SSLError) as error:
            raise InputError("this is no file with certificates (PEM)", where=str(path)) from error
    return context


def _system_bundle() -> str:
    """The certificates of this system, which an interpreter of another system looks for in another place."""
    found = next((path for path in _BUNDLES if Path(path).is_file()), None)
    if found is None:
        import certifi

        return certifi.where()
    return found


def is_loopback(host: str) -> bool:
    """Whether `host` or `host:port` is this machine itself."""
    name = urlsplit(f"//{host}").hostname or ""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def network_error(error: Exception, where: str, advice: Advice) -> TwinrootError:
    """What broke, in words."""
    certificate = _cause(error, ssl.SSLCertVerificationError)
    if isinstance(certificate, ssl.SSLCertVerificationError):
        return InputError(
            f"the server's certificate is not trusted: {certificate.verify_message}",
            where=where,
            hint=advice.certificate,
        )
    if isinstance(_cause(error, ssl.SSLError), ssl.SSLError):
        return NetworkError("the server does not speak TLS", where=where, hint=advice.no_tls)
    return NetworkError(f"the connection does not work: {_reason(error)}", where=where)


def _cause(error: BaseException | None, kind: type[BaseException]) -> BaseException | None:
    """The first error of a kind in a chain, which requests and urllib3 keep in arguments, reasons and contexts."""
    seen: set[int] = set()
    waiting: list[Any] = [error]
    while waiting:
        found = waiting.pop(0)
        if not isinstance(found, BaseException) or id(found) in seen:
            continue
        if isinstance(found, kind):
            return found
        seen.add(id(found))
        waiting += [getattr(found, "reason", None), *found.args, found.__cause__, found.__context__]
    return None


def _reason(error: Exception) -> str:
    system = _cause(error, OSError)
    while isinstance(system, requests.RequestException):  # they are OSErrors without a number
        inner = getattr(system.args[0], "reason", system.args[0]) if system.args else None
        system = inner if isinstance(inner, BaseException) else None
    if isinstance(system, OSError) and system.strerror:
        return system.strerror
    text = str(system or error)
    # urllib3 puts objects and pools around what happened.
    return re.sub(r"^.*?(?:>|\)): ", "", text)[:200] or type(error).__name__
