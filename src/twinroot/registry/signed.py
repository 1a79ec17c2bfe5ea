"""Signatures of cached images: kept where the image is, so that they can be verified again without a network."""

from __future__ import annotations

import base64
import json
import logging
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from twinroot.errors import InputError
from twinroot.registry.cache import Cache
from twinroot.registry.client import Client
from twinroot.registry.manifest import Descriptor
from twinroot.registry.resolve import Resolved

if TYPE_CHECKING:
    from cryptography import x509

    from twinroot.registry.notation.policy import Policy

log = logging.getLogger(__name__)


def check_now(client: Client, resolved: Resolved, cache: Cache, policy: Policy) -> None:
    """Verify by what is in the registry, and keep the signature that counted."""
    from twinroot.registry.notation.signatures import check_signatures

    found = check_signatures(client, resolved, policy)
    kept = {
        "digest": found.target.digest,
        "size": found.target.size,
        "mediaType": found.media_type,
        "data": base64.b64encode(found.data).decode(),
    }
    path = cache.signature_file(resolved.descriptor.digest)
    partial = path.with_name(f".{path.name}.{threading.get_native_id()}")
    partial.write_text(json.dumps(kept))
    partial.replace(path)


def check_again(cache: Cache, digest: str, policy: Policy, where: str) -> None:
    """Verify the signature that was kept; InputError when there is none of this manifest.

    Whether certificates were revoked cannot be asked without a network; it was when the signature was kept.
    """
    from twinroot.registry.notation.signatures import Signature, first_accepted

    def unasked(_chain: Sequence[x509.Certificate]) -> None:
        log.warning("Whether the signer's certificates were revoked is not known without a network")

    try:
        kept = json.loads(cache.signature_file(digest).read_bytes())
        target = Descriptor("", str(kept["digest"]), int(kept["size"]))
        found = Signature(target, str(kept["mediaType"]), base64.b64decode(kept["data"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            "its signature is not in the cache, and the registry cannot be reached", where=where
        ) from error
    if target.digest != digest:
        # The index above was signed; whether it leads to this manifest only the registry can say.
        raise InputError("its signature can only be verified when the registry can be reached", where=where)
    first_accepted([found], policy, unasked, where)
