"""Which signatures an artifact must have."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from twinroot.config.registry_reference import Reference
from twinroot.errors import InputError
from twinroot.registry.access import Trust

if TYPE_CHECKING:
    from twinroot.registry.notation.policy import Policy

log = logging.getLogger(__name__)

_SKIP = "--insecure-skip-signature"


def policy_for(reference: Reference, trust: Trust, *, azure_linux: bool = False) -> Policy | None:
    """The policy that counts; None when no signature is wanted.

    Images that were asked for as Azure Linux must be signed by Microsoft. For all others: the policy file that was
    asked for, which must be about the repository; that of notation, if it is about it; Microsoft's images; nothing.
    """
    from twinroot.registry.notation.policy import AZURE_LINUX, find_policy, is_azure_linux

    if azure_linux:
        if trust.skip:
            raise InputError(f"{_SKIP} is not for images of azureLinux", hint=f"use --image oci:{reference}")
        return AZURE_LINUX
    if trust.skip:
        log.warning("The signature of %s is not checked (%s)", reference, _SKIP)
        return None
    found = find_policy(reference, trust.policy_file)
    if found is None and trust.policy_file:
        hint = f"add {reference.name} to the registryScopes of a policy"
        raise InputError(f"no policy is about {reference.name}", where=str(trust.policy_file), hint=hint)
    if found is None and is_azure_linux(reference):
        return AZURE_LINUX
    if found is None or found.skips:
        log.info("No trust policy wants a signature of %s", reference)
        return None
    return found
