"""Trust policies and trust stores as notation keeps them: whose signatures count, and how strictly.

NOTATION is ~/.config/notation (XDG_CONFIG_HOME): `trustpolicy.json` (or `trustpolicy.oci.json`), and
`truststore/x509/TYPE/NAME/` with certificates. Notary Project specification "trust-store-trust-policy".
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509

from twinroot.config.registry_reference import Reference
from twinroot.errors import InputError
from twinroot.registry.notation.chain import fingerprint

CHECKS = ("integrity", "authenticity", "authenticTimestamp", "expiry", "revocation")
_LEVELS = {
    "strict": dict.fromkeys(CHECKS, "enforce"),
    "permissive": dict.fromkeys(CHECKS[:2], "enforce") | dict.fromkeys(CHECKS[2:], "log"),
    "audit": {"integrity": "enforce"} | dict.fromkeys(CHECKS[1:], "log"),
    "skip": dict.fromkeys(CHECKS, "skip"),
}
STRICT: Mapping[str, str] = _LEVELS["strict"]
# Microsoft Supply Chain RSA Root CA 2022, which vouches for the signatures of Azure Linux images: SHA-256 of it.
_MICROSOFT = "23ffe2b8bdb9a1711515d4cffda04bc7f793d513c76c243f1020507d8669b7db"
_AZURE_LINUX = re.compile(r"azurelinux/[0-9]+\.[0-9]+/image/[^/]+")
_STORE_NAME = re.compile(r"[A-Za-z0-9_.-]+")


@dataclass(frozen=True)
class Policy:
    """Whose signatures count. `anchors` are SHA-256 fingerprints of certificates by the type of their store.

    `identities` are subjects of which one must be in the signer's; empty means anybody whom an anchor vouches for.
    `actions` says for each check whether it is enforced, logged or skipped.
    """

    name: str
    actions: Mapping[str, str]
    anchors: Mapping[str, frozenset[str]] = field(default_factory=dict)
    identities: tuple[x509.Name, ...] = ()
    timestamps: bool = False

    @property
    def skips(self) -> bool:
        """Whether signatures are not looked at."""
        return all(action == "skip" for action in self.actions.values())


AZURE_LINUX = Policy("azure-linux", STRICT, {"ca": frozenset((_MICROSOFT,))})


def is_azure_linux(reference: Reference) -> bool:
    """Whether it is an image that Microsoft publishes for Azure Linux, which are all signed."""
    return reference.registry == "mcr.microsoft.com" and bool(_AZURE_LINUX.fullmatch(reference.repository))


def find_policy(reference: Reference, file: Path | None) -> Policy | None:
    """The policy for a repository, of `file` or notation's own place; None when none is about it.

    InputError for a policy or store that is not right.
    """
    path = file or next((path for path in _default_files() if path.exists()), None)
    if path is None:
        return None
    document = _read(path)
    policies = document.get("trustPolicies")
    if document.get("version") != "1.0" or not isinstance(policies, list):
        raise InputError("this is no trust policy of version 1.0", where=str(path))
    for scope in (reference.name, "*"):
        for policy in policies:
            if isinstance(policy, dict) and scope in (policy.get("registryScopes") or ()):
                return _policy(policy, path)
    return None


def _default_files() -> tuple[Path, ...]:
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "notation"
    return home / "trustpolicy.oci.json", home / "trustpolicy.json"


def _policy(found: dict[str, Any], path: Path) -> Policy:
    name = str(found.get("name", ""))
    verification = found.get("signatureVerification")
    level = verification.get("level") if isinstance(verification, dict) else None
    if not isinstance(verification, dict) or level not in _LEVELS:
        raise InputError(f"policy {name!r} has no level: {', '.join(_LEVELS)}", where=str(path))
    actions = _LEVELS[level] | _overrides(verification.get("override") or {}, name, path)
    if level == "skip":
        return Policy(name, actions)
    stores = found.get("trustStores")
    if not isinstance(stores, list) or not stores:
        raise InputError(f"policy {name!r} names no trust stores", where=str(path))
    anchors: dict[str, frozenset[str]] = {}
    for store in map(str, stores):
        kind, _, store_name = store.partition(":")
        if kind not in ("ca", "signingAuthority", "tsa") or not _STORE_NAME.fullmatch(store_name):
            raise InputError(f"policy {name!r}: {store!r} is no trust store", where=str(path))
        directory = path.parent / "truststore/x509" / kind / store_name
        anchors[kind] = anchors.get(kind, frozenset()) | (_store(directory) if kind != "tsa" else frozenset())
    return Policy(name, actions, anchors, _identities(found, name, path), timestamps="tsa" in anchors)


def _overrides(found: Any, name: str, path: Path) -> dict[str, str]:
    if not isinstance(found, dict) or any(
        check not in CHECKS[1:] or action not in ("enforce", "log", "skip") for check, action in found.items()
    ):
        raise InputError(f"policy {name!r}: the overrides are not right", where=str(path))
    return found


def _identities(found: dict[str, Any], name: str, path: Path) -> tuple[x509.Name, ...]:
    texts = found.get("trustedIdentities")
    if not isinstance(texts, list) or not texts:
        raise InputError(f"policy {name!r} names no trusted identities", where=str(path))
    if "*" in texts:
        return ()
    names = []
    for text in map(str, texts):
        kind, _, subject = text.partition(":")
        try:
            if kind != "x509.subject":
                raise ValueError
            subject = re.sub(r"\s*,\s*(?=[A-Za-z0-9.]+\s*=)", ",", subject.strip())
            aliases = {"S": x509.NameOID.STATE_OR_PROVINCE_NAME}
            names.append(x509.Name.from_rfc4514_string(subject, aliases))
        except ValueError as error:
            raise InputError(f"policy {name!r}: {text!r} is no identity", where=str(path)) from error
    return tuple(names)


def _store(directory: Path) -> frozenset[str]:
    found: list[x509.Certificate] = []
    try:
        files = sorted(path for path in directory.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise InputError(f"the trust store cannot be read: {error.strerror}", where=str(directory)) from error
    for path in files:
        if path.is_symlink() or not path.is_file():
            raise InputError("a trust store holds files only, no links", where=str(path))
        data = path.read_bytes()
        try:
            pem = data.lstrip().startswith(b"-----")
            found += x509.load_pem_x509_certificates(data) if pem else [x509.load_der_x509_certificate(data)]
        except ValueError as error:
            raise InputError("this is no certificate", where=str(path)) from error
    if not found:
        raise InputError("the trust store is empty", where=str(directory))
    return frozenset(map(fingerprint, found))


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"the trust policy cannot be read: {error.strerror}", where=str(path)) from error
    except (ValueError, RecursionError) as error:
        raise InputError("the trust policy is not JSON", where=str(path)) from error
    if not isinstance(document, dict):
        raise InputError("this is no trust policy", where=str(path))
    return document
