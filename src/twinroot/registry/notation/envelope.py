"""Signature envelopes: JWS (JSON) and COSE_Sign1, to one value that says what was signed and by whom.

Notary Project specifications "signature-envelope-jws" and "signature-envelope-cose". Parsing checks no signature.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography import x509

from twinroot.errors import FormatError
from twinroot.registry.notation import cbor

JWS, COSE = "application/jose+json", "application/cose"
PAYLOAD = "application/vnd.cncf.notary.payload.v1+json"
SCHEME_X509, SCHEME_AUTHORITY = "notary.x509", "notary.x509.signingAuthority"
_PREFIX = "io.cncf.notary."
_KNOWN_CRITICAL = {f"{_PREFIX}{name}" for name in ("signingScheme", "expiry", "authenticSigningTime")}
_COSE_ALGORITHMS = {-7: "ES256", -35: "ES384", -36: "ES512", -37: "PS256", -38: "PS384", -39: "PS512"}
_MAX_CHAIN = 10


@dataclass(frozen=True)
class Envelope:
    """A signature: `signed` bytes that `signature` is of, by the first certificate of `chain` (its issuers follow).

    `payload` is what the signature is about. `signing_time` is what the signer claims; with the scheme of signing
    authorities it can be trusted.
    """

    algorithm: str
    signed: bytes
    signature: bytes
    chain: tuple[x509.Certificate, ...]
    payload: bytes
    scheme: str
    signing_time: datetime
    expiry: datetime | None


def parse_envelope(data: bytes, media_type: str) -> Envelope:
    """An envelope of one of the two types; FormatError for anything that is not as the specifications want it."""
    if media_type == JWS:
        return _jws(data)
    if media_type == COSE:
        return _cose(data)
    raise FormatError(f"signatures of type {media_type[:60]!r} are not known")


def _jws(data: bytes) -> Envelope:
    outer = _json_object(data, "the signature envelope")
    texts = [outer.get(key) for key in ("protected", "payload", "signature")]
    if not all(isinstance(text, str) and text.isascii() for text in texts):
        raise FormatError("the JWS lacks its protected header, payload or signature")
    protected, payload, signature = (str(text) for text in texts)
    header = _json_object(_unpadded(protected), "the protected header")
    chain = (outer.get("header") or {}).get("x5c") if isinstance(outer.get("header"), dict) else None
    if not isinstance(chain, list) or not all(isinstance(text, str) for text in chain):
        raise FormatError("the signature has no certificates")
    times = {key: _rfc3339(value) for key, value in header.items() if key in _TIMES}
    return _checked(
        header.get("alg"), header.get("crit"), header.get("cty"), {**header, **times},
        signed=f"{protected}.{payload}".encode(),
        signature=_unpadded(signature),
        chain=[_standard(text) for text in chain],
        payload=_unpadded(payload),
    )  # fmt: skip


def _cose(data: bytes) -> Envelope:
    outer = cbor.decode(data)
    if not (isinstance(outer, cbor.Tagged) and outer.tag == 18 and isinstance(outer.value, list)):
        raise FormatError("the signature is not a COSE_Sign1")
    if len(outer.value) != 4:
        raise FormatError("the COSE_Sign1 has not four parts")
    protected, unprotected, payload, signature = outer.value
    parts = (protected, payload, signature)
    if not all(isinstance(part, bytes) for part in parts) or not isinstance(unprotected, dict):
        raise FormatError("the parts of the COSE_Sign1 are not what they should be")
    header = cbor.decode(protected)
    if not isinstance(header, dict):
        raise FormatError("the protected header is not a map")
    chain = unprotected.get(33)
    chain = [chain] if isinstance(chain, bytes) else chain
    if not isinstance(chain, list) or not all(isinstance(one, bytes) for one in chain):
        raise FormatError("the signature has no certificates")
    times = {key: _epoch(value) for key, value in header.items() if key in _TIMES}
    return _checked(
        _COSE_ALGORITHMS.get(header.get(1, 0)), header.get(2), header.get(3), {**header, **times},
        signed=cbor.encode(["Signature1", protected, b"", payload]), signature=signature, chain=chain, payload=payload,
    )  # fmt: skip


_TIMES = tuple(f"{_PREFIX}{name}" for name in ("signingTime", "authenticSigningTime", "expiry"))


def _checked(
    algorithm: Any, critical: Any, content_type: Any, header: dict[Any, Any], *, signed: bytes, signature: bytes,
    chain: list[bytes], payload: bytes,
) -> Envelope:  # fmt: skip
    """What both kinds of envelope must satisfy."""
    if algorithm not in _COSE_ALGORITHMS.values():
        raise FormatError(f"the signature's algorithm {str(algorithm)[:20]!r} is not one of those that are allowed")
    if content_type != PAYLOAD:
        raise FormatError("the signature is about something else than an artifact")
    scheme = header.get(f"{_PREFIX}signingScheme")
    if scheme not in (SCHEME_X509, SCHEME_AUTHORITY):
        raise FormatError(f"the signing scheme {str(scheme)[:40]!r} is not known")
    needed = {f"{_PREFIX}signingScheme"} | {f"{_PREFIX}expiry"} & header.keys()
    needed |= {f"{_PREFIX}authenticSigningTime"} if scheme == SCHEME_AUTHORITY else set()
    if not isinstance(critical, list) or not needed <= {*map(str, critical)}:
        raise FormatError("the signature does not mark as critical what must be")
    unknown = [str(name) for name in critical if name not in _KNOWN_CRITICAL]
    if unknown:
        raise FormatError(f"the signature demands what is not known here: {', '.join(unknown)[:200]}")
    time = header.get(f"{_PREFIX}{'signingTime' if scheme == SCHEME_X509 else 'authenticSigningTime'}")
    if not isinstance(time, datetime):
        raise FormatError("the signature does not say when it was made")
    if not 1 <= len(chain) <= _MAX_CHAIN:
        raise FormatError("the signature has no certificates, or too many")
    return Envelope(
        str(algorithm), signed, signature, tuple(map(_certificate, chain)), payload, scheme, time,
        header.get(f"{_PREFIX}expiry"),
    )  # fmt: skip


def _certificate(data: bytes) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(data)
    except ValueError as error:
        raise FormatError("a certificate of the signature cannot be read") from error


def _json_object(data: bytes, what: str) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise FormatError(f"{what} names something twice")
        return found

    try:
        found = json.loads(data, object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{what} is not JSON") from error
    if not isinstance(found, dict):
        raise FormatError(f"{what} is not a JSON object")
    return found


def _unpadded(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise FormatError("a part of the JWS is not base64") from error


def _standard(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise FormatError("a certificate of the JWS is not base64") from error


def _rfc3339(value: Any) -> datetime:
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError as error:
        raise FormatError("a time in the signature is none") from error
    if found.tzinfo is None:
        raise FormatError("a time in the signature has no time zone")
    return found


def _epoch(value: Any) -> datetime:
    seconds = value.value if isinstance(value, cbor.Tagged) and value.tag == 1 else value
    if not isinstance(seconds, int) or not 0 <= seconds < 1 << 36:
        raise FormatError("a time in the signature is none")
    return datetime.fromtimestamp(seconds, UTC)
