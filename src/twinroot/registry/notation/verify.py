"""Whether a signature is one that a policy accepts for an artifact."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from twinroot.errors import FormatError, TwinrootError
from twinroot.registry.manifest import Descriptor
from twinroot.registry.notation.chain import check_chain, check_signature, check_validity, fingerprint
from twinroot.registry.notation.envelope import SCHEME_AUTHORITY, Envelope, parse_envelope
from twinroot.registry.notation.policy import Policy

log = logging.getLogger(__name__)

CheckRevocation = Callable[[Sequence[x509.Certificate]], None]


def verify(
    data: bytes, media_type: str, target: Descriptor, policy: Policy, now: datetime, revocation: CheckRevocation
) -> str:
    """Verify an envelope; returns the signer's subject. FormatError for a signature that does not count.

    Each check that the policy only logs is a warning when it fails.
    """
    try:
        return _verified(parse_envelope(data, media_type), target, policy, now, revocation)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.InvalidVersion) as error:
        # Certificates are read as they are looked into, and hostile ones may be broken anywhere.
        raise FormatError(f"a certificate of the signature cannot be used: {error}") from error


def _verified(
    envelope: Envelope, target: Descriptor, policy: Policy, now: datetime, revocation: CheckRevocation
) -> str:
    check_signature(envelope)
    check_chain(envelope.chain)
    _check_target(envelope, target)
    checks: tuple[tuple[str, Callable[[], None]], ...] = (
        ("authenticity", lambda: _check_authenticity(envelope, policy)),
        ("expiry", lambda: _check_expiry(envelope, now)),
        ("authenticTimestamp", lambda: _check_time(envelope, policy, now)),
        ("revocation", lambda: revocation(envelope.chain)),
    )
    for name, check in checks:
        action = policy.actions[name]
        if action == "skip":
            continue
        try:
            check()
        except TwinrootError as error:
            if action == "enforce":
                raise
            log.warning("%s of the signature: %s (policy %s goes on)", name, error.message, policy.name)
    return envelope.chain[0].subject.rfc4514_string()


def _check_target(envelope: Envelope, target: Descriptor) -> None:
    """That it is this artifact that was signed."""
    try:
        signed = json.loads(envelope.payload)["targetArtifact"]
        found = (signed["digest"], signed["size"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise FormatError("the signature does not say what it is about") from error
    if found != (target.digest, target.size) or isinstance(signed["size"], bool):
        raise FormatError("the signature is about another artifact")


def _check_authenticity(envelope: Envelope, policy: Policy) -> None:
    kind = "signingAuthority" if envelope.scheme == SCHEME_AUTHORITY else "ca"
    anchors = policy.anchors.get(kind, frozenset())
    if not any(fingerprint(certificate) in anchors for certificate in envelope.chain):
        signer = envelope.chain[0].subject.rfc4514_string()
        raise FormatError(f"nobody whom policy '{policy.name}' trusts vouches for the signer {signer[:200]!r}")
    subject = {(attribute.oid, attribute.value) for attribute in envelope.chain[0].subject}
    wanted = [{(attribute.oid, attribute.value) for attribute in name} for name in policy.identities]
    if wanted and not any(name <= subject for name in wanted):
        signer = envelope.chain[0].subject.rfc4514_string()
        raise FormatError(f"the signer {signer[:200]!r} is none of the identities of policy '{policy.name}'")


def _check_expiry(envelope: Envelope, now: datetime) -> None:
    if envelope.expiry and now > envelope.expiry:
        raise FormatError(f"the signature expired on {envelope.expiry:%Y-%m-%d}")


def _check_time(envelope: Envelope, policy: Policy, now: datetime) -> None:
    """That the certificates were valid when they had to be: at signing where that time can be trusted, else now."""
    if envelope.scheme == SCHEME_AUTHORITY:
        check_validity(envelope.chain, envelope.signing_time)
    elif policy.timestamps:
        raise FormatError("time stamps (trust stores 'tsa') cannot be verified by this version of twinroot")
    else:
        check_validity(envelope.chain, now)
