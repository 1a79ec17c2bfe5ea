"""The signatures of an artifact in its registry, and checking them.

Found by the referrers API, or the tag that stands in for it where a registry has none (distribution specification 1.1).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from twinroot.errors import FormatError, InputError, TwinrootError
from twinroot.registry.client import Client
from twinroot.registry.digest import digest_of
from twinroot.registry.manifest import MAX_DOCUMENT, OCI_INDEX, Descriptor, Index, Manifest, parse_document
from twinroot.registry.notation.policy import Policy
from twinroot.registry.notation.revocation import check_revocation
from twinroot.registry.notation.verify import CheckRevocation, verify
from twinroot.registry.resolve import Resolved, get_document

log = logging.getLogger(__name__)

_SIGNATURE = "application/vnd.cncf.notary.signature"
_HINT = "do not use it; if you must, and it is not asked for as azureLinux: --insecure-skip-signature"
_MOST = 50  # signatures to try (image behaviour spec, section 34)


@dataclass(frozen=True)
class Signature:
    """An envelope of a type, and the descriptor of what it is attached to."""

    target: Descriptor
    media_type: str
    data: bytes


def check_signatures(client: Client, resolved: Resolved, policy: Policy) -> Signature:
    """The first signature that a policy accepts; InputError with the reasons when there is none."""

    def revocation(chain: object) -> None:
        check_revocation(chain, lambda url: client.public(url, 16 << 20))  # type: ignore[arg-type]

    targets = dict.fromkeys((resolved.top.digest, resolved.descriptor.digest))
    by_digest = {found.digest: found for found in (resolved.top, resolved.descriptor)}
    signatures = (one for digest in targets for one in _signatures(client, by_digest[digest]))
    return first_accepted(signatures, policy, revocation, str(client.reference))


def first_accepted(
    signatures: Iterable[Signature], policy: Policy, revocation: CheckRevocation, where: str
) -> Signature:
    """The first of some signatures that a policy accepts."""
    reasons: list[str] = []
    for signature in signatures:
        try:
            who = verify(signature.data, signature.media_type, signature.target, policy, datetime.now(UTC), revocation)
        except TwinrootError as error:
            reasons.append(error.message)
            continue
        log.info("Signature verified (policy %s): signed by %s", policy.name, who)
        return signature
    if not reasons:
        raise InputError(f"this is not signed, and policy '{policy.name}' wants it to be", where=where, hint=_HINT)
    shown = "; ".join(dict.fromkeys(reasons))[:600]
    raise InputError(f"no signature counts for policy '{policy.name}': {shown}", where=where, hint=_HINT)


def _signatures(client: Client, target: Descriptor) -> Iterator[Signature]:
    for count, entry in enumerate(_referrers(client, target)):
        if count >= _MOST:
            log.warning("%s has more than %d signatures; the others are not looked at", client.reference, _MOST)
            return
        found = _signature(client, target, entry)
        if found:
            yield found


def _referrers(client: Client, target: Descriptor) -> tuple[Descriptor, ...]:
    url = f"referrers/{target.digest}?artifactType={_SIGNATURE.replace('+', '%2B')}"
    answer = client.read("GET", url, headers={"Accept": OCI_INDEX}, ok=(200, 404), limit=MAX_DOCUMENT)
    index: object = None
    if answer.status == 200:
        index = parse_document(answer.body, OCI_INDEX)
    else:
        tag = target.digest.replace(":", "-")
        answer = client.read("GET", f"manifests/{tag}", headers={"Accept": OCI_INDEX}, ok=(200, 404))
        index = parse_document(answer.body, OCI_INDEX) if answer.status == 200 else None
    entries = index.entries if isinstance(index, Index) else ()
    return tuple(entry for entry in entries if entry.artifact_type in (None, _SIGNATURE))


def _signature(client: Client, target: Descriptor, entry: Descriptor) -> Signature | None:
    document = get_document(client, entry.digest)
    manifest = document.content
    if not isinstance(manifest, Manifest) or _SIGNATURE not in (manifest.artifact_type, manifest.config.media_type):
        return None
    if manifest.subject is None or manifest.subject.digest != target.digest or len(manifest.layers) != 1:
        return None
    (layer,) = manifest.layers
    data = client.read("GET", f"blobs/{layer.digest}", limit=MAX_DOCUMENT).body
    if digest_of(data, layer.digest) != layer.digest:
        raise FormatError("a signature does not match its digest", where=str(client.reference))
    return Signature(target, layer.media_type, data)
