"""Answering a registry's challenge: basic, or a bearer token, for nobody in particular or for a user.

oras knows the challenge's syntax and fetches tokens (distribution's token authentication); what it lacks, refresh
tokens and telling why no token came, is here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from twinroot.config.registry_reference import Reference
from twinroot.errors import InputError
from twinroot.registry.access import Access
from twinroot.registry.credentials import Credentials, find_credentials

if TYPE_CHECKING:
    from twinroot.registry.client import Answer

Ask = Callable[[str, str, Mapping[str, str], "bytes | None"], "Answer"]


class Authentication:
    """What authenticates us to one repository. `header` is None until the registry asked. Callers lock."""

    def __init__(self, reference: Reference, access: Access, given: Credentials | None, ask: Ask) -> None:
        self.header: str | None = None
        self._reference = reference
        self._access = access
        self._known = given is not None
        self._credentials = given
        self._ask = ask

    @property
    def user(self) -> str | None:
        """Whose credentials were used, None when nobody's."""
        if self.header is None or self._credentials is None:
            return None
        return self._credentials.username or "the identity token"

    def renew(self, challenge: str) -> bool:
        """Answer a `WWW-Authenticate` header; False when that is not possible. InputError when tokens are refused."""
        if not self._known:
            self._credentials, self._known = find_credentials(self._reference, self._access.auth_file), True
        before = self.header
        scheme = challenge.split(" ")[0].lower()
        if scheme == "basic" and self._credentials:
            self.header = f"Basic {_pair(self._credentials)}"
        elif scheme == "bearer":
            self.header = f"Bearer {self._token(challenge)}"
        return self.header != before

    def _token(self, challenge: str) -> str:
        from oras.auth.utils import parse_auth_header

        found = parse_auth_header(challenge)
        if not found.realm or not found.realm.startswith(("https://", "http://")):
            raise InputError("the registry does not say where tokens are to be had", where=self._reference.registry)
        if self._credentials and self._credentials.identity_token:
            return self._refreshed(found, self._credentials.identity_token)
        return self._fetched(found)

    def _fetched(self, challenge: Any) -> str:
        from oras.auth.token import TokenAuth

        backend = TokenAuth()
        session = _TokenSession(self._ask)
        backend.session, backend._tls_verify = session, True
        if self._credentials:
            backend.set_basic_auth(self._credentials.username, self._credentials.password)
        token = backend.request_token(challenge)
        if not token:
            raise self._no_token(session.status)
        return _line(token)

    def _refreshed(self, challenge: Any, refresh_token: str) -> str:
        """OAuth2 with a refresh token (distribution's "token authentication with OAuth2")."""
        form = {"grant_type": "refresh_token", "service": challenge.service or "", "client_id": "twinroot"}
        form |= {"refresh_token": refresh_token} | ({"scope": challenge.scope} if challenge.scope else {})
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = self._ask("POST", challenge.realm, kind, urlencode(form).encode())
        found = json.loads(answer.body) if answer.status == 200 else {}
        if not isinstance(found, dict) or not found.get("access_token"):
            raise self._no_token(answer.status)
        return _line(found["access_token"])

    def _no_token(self, status: int) -> InputError:
        who = f"the credentials of {self._credentials.username or 'the identity token'}" if self._credentials else None
        said = f"the registry refuses {who}" if who else "the registry gives no token without credentials"
        hint = self._access.advice.login.format(registry=self._reference.registry)
        return InputError(f"{said} (status {status})", where=str(self._reference), hint=hint)


class _TokenSession:
    """What oras' token backend asks with: our retries, bounded answers, and the status kept."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self.status = 0

    def get(self, url: str, *, headers: Mapping[str, str], params: Mapping[str, str], verify: object) -> _TokenAnswer:
        """The answer of a token server. Certificates are verified whatever `verify` says."""
        several = [("scope", scope) for scope in params.get("scope", "").split(" ") if scope]
        query = urlencode([*((k, v) for k, v in params.items() if k != "scope"), *several])
        answer = self._ask("GET", f"{url}{'&' if '?' in url else '?'}{query}", headers, None)
        self.status = answer.status
        return _TokenAnswer(answer)


class _TokenAnswer:
    """The part of a response that oras' token backend looks at."""

    def __init__(self, answer: Answer) -> None:
        self.status_code = answer.status
        self.text = answer.body.decode(errors="replace")[:500] if answer.status != 200 else ""
        self._body = answer.body

    def json(self) -> dict[str, Any]:
        """The body; empty when it is no object."""
        try:
            found = json.loads(self._body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


def _pair(credentials: Credentials) -> str:
    from oras.auth.utils import get_basic_auth

    return str(get_basic_auth(credentials.username, credentials.password))


def _line(token: object) -> str:
    text = str(token)
    if not text.isascii() or not text.isprintable():
        raise InputError("the registry's token is not a line of text")
    return text
