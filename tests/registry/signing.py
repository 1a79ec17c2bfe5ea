"""Signing as notation does, for tests: certificates, envelopes, and signatures attached in a registry."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from tests.registry.servers import Registry, digest_of, index
from twinroot.registry.notation import cbor
from twinroot.registry.notation.envelope import COSE, JWS, PAYLOAD, SCHEME_X509

NOW = datetime.now(UTC).replace(microsecond=0)
SIGNATURE = "application/vnd.cncf.notary.signature"
PREFIX = "io.cncf.notary."
_COSE_IDS = {"ES256": -7, "PS256": -37}
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(x509.NameOID.COUNTRY_NAME, "DE"),
            x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Test"),
            x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name),
        ]
    )


@dataclass
class Signer:
    """A key with its certificate and those of its issuers. Fields say what is unusual about the certificate."""

    days: tuple[int, int] = (-10, 10)
    signing: bool = True
    purpose: x509.ObjectIdentifier = x509.oid.ExtendedKeyUsageOID.CODE_SIGNING
    crl_url: str | None = None
    use_rsa: bool = False
    authority_is_one: bool = True
    key: Key = field(init=False)
    root_key: ec.EllipticCurvePrivateKey = field(init=False)
    root: x509.Certificate = field(init=False)
    leaf: x509.Certificate = field(init=False)

    def __post_init__(self) -> None:
        self.root_key = ec.generate_private_key(ec.SECP256R1())
        self.key = rsa.generate_private_key(65537, 2048) if self.use_rsa else ec.generate_private_key(ec.SECP256R1())
        self.root = self._certificate("root", self.root_key, authority=True)
        self.leaf = self._certificate("signer", self.key, authority=False)

    def _certificate(self, common_name: str, key: Key, *, authority: bool) -> x509.Certificate:
        usage = dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "crl_sign",
             "encipher_only", "decipher_only"), False,
        )  # fmt: skip
        signs, issues = self.signing and not authority, authority and self.authority_is_one
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(common_name))
            .issuer_name(name("root"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW + timedelta(days=-100 if authority else self.days[0]))
            .not_valid_after(NOW + timedelta(days=100 if authority else self.days[1]))
            .add_extension(x509.BasicConstraints(ca=issues, path_length=None), critical=True)
            .add_extension(x509.KeyUsage(digital_signature=signs, key_cert_sign=issues, **usage), critical=True)
        )
        if not authority:
            builder = builder.add_extension(x509.ExtendedKeyUsage([self.purpose]), critical=False)
        if self.crl_url and not authority:
            point = x509.DistributionPoint([x509.UniformResourceIdentifier(self.crl_url)], None, None, None)
            builder = builder.add_extension(x509.CRLDistributionPoints([point]), critical=False)
        return builder.sign(self.root_key, hashes.SHA256())

    @property
    def chain(self) -> list[bytes]:
        return [one.public_bytes(serialization.Encoding.DER) for one in (self.leaf, self.root)]

    def revocation_list(self, *revoked: int) -> bytes:
        builder = x509.CertificateRevocationListBuilder().issuer_name(name("root"))
        builder = builder.last_update(NOW - timedelta(days=1)).next_update(NOW + timedelta(days=1))
        for serial in revoked:
            one = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(NOW - timedelta(days=1))
            builder = builder.add_revoked_certificate(one.build())
        return builder.sign(self.root_key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)

    def sign_bytes(self, data: bytes) -> tuple[str, bytes]:
        """Algorithm and signature."""
        digest = hashes.SHA256()
        if isinstance(self.key, rsa.RSAPrivateKey):
            return "PS256", self.key.sign(data, padding.PSS(padding.MGF1(digest), 32), digest)
        r, s = decode_dss_signature(self.key.sign(data, ec.ECDSA(digest)))
        return "ES256", r.to_bytes(32, "big") + s.to_bytes(32, "big")

    @property
    def algorithm(self) -> str:
        return "PS256" if self.use_rsa else "ES256"


def payload(target: dict[str, Any]) -> bytes:
    return json.dumps({"targetArtifact": target}).encode()


def jws(signer: Signer, target: dict[str, Any], expiry: datetime | None = None, **changes: Any) -> bytes:
    """An envelope in JSON; `changes` replace fields of the protected header, by names without dots and prefix."""
    header: dict[str, Any] = {
        "alg": signer.algorithm, "cty": PAYLOAD, "crit": [f"{PREFIX}signingScheme"],
        f"{PREFIX}signingScheme": SCHEME_X509, f"{PREFIX}signingTime": NOW.isoformat(),
    }  # fmt: skip
    if expiry:
        header["crit"].append(f"{PREFIX}expiry")
        header[f"{PREFIX}expiry"] = expiry.isoformat()
    header |= {key if key in header else f"{PREFIX}{key}": value for key, value in changes.items()}
    protected, body = _b64(json.dumps(header).encode()), _b64(payload(target))
    _, signature = signer.sign_bytes(f"{protected}.{body}".encode())
    chain = [base64.b64encode(one).decode() for one in signer.chain]
    parts = {"protected": protected, "payload": body, "signature": _b64(signature), "header": {"x5c": chain}}
    return json.dumps(parts).encode()


def cose(signer: Signer, target: dict[str, Any], expiry: datetime | None = None) -> bytes:
    """An envelope in CBOR."""
    critical: list[Any] = [f"{PREFIX}signingScheme", *([f"{PREFIX}expiry"] if expiry else [])]
    header: dict[Any, Any] = {
        1: _COSE_IDS[signer.algorithm], 2: critical, 3: PAYLOAD,
        f"{PREFIX}signingScheme": SCHEME_X509, f"{PREFIX}signingTime": NOW,
    }  # fmt: skip
    if expiry:
        header[f"{PREFIX}expiry"] = expiry
    protected, body = _cbor(header), payload(target)
    _, signature = signer.sign_bytes(cbor.encode(["Signature1", protected, b"", body]))
    return b"\xd2\x84" + _cbor(protected) + _cbor({33: signer.chain}) + _cbor(body) + _cbor(signature)


def _cbor(value: Any) -> bytes:
    """What `cbor.encode` leaves out: maps, numbers, times."""
    if isinstance(value, dict):
        return bytes([0xA0 + len(value)]) + b"".join(_cbor(key) + _cbor(one) for key, one in value.items())
    if isinstance(value, datetime):
        return b"\xc1\x1a" + int(value.timestamp()).to_bytes(4, "big")
    if isinstance(value, int):
        kind, number = (0x00, value) if value >= 0 else (0x20, -1 - value)
        return bytes([kind + number]) if number < 24 else bytes([kind + 24, number])
    return cbor.encode(value)


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def attach(registry: Registry, repository: str, target: dict[str, Any], envelope: bytes, media_type: str) -> None:
    """Store a signature beside what it signs, under the tag that stands in for the referrers API."""
    layer = {**registry.put_blob(repository, envelope), "mediaType": media_type}
    config = {**registry.put_blob(repository, b"{}"), "mediaType": SIGNATURE}
    document = {
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config,
        "layers": [layer], "subject": target,
    }  # fmt: skip
    found = registry.put_document(repository, digest_of(json.dumps(document).encode()), document)
    tag = target["digest"].replace(":", "-")
    registry.put_document(repository, tag, index({**found, "artifactType": SIGNATURE}))


def trust(directory: Path, signer: Signer, scope: str = "*", **changes: Any) -> Path:
    """A trust policy with its store; the policy's file."""
    store = directory / "truststore/x509/ca/test"
    store.mkdir(parents=True, exist_ok=True)
    (store / "root.crt").write_bytes(signer.root.public_bytes(serialization.Encoding.PEM))
    policy: dict[str, Any] = {
        "name": "test-policy", "registryScopes": [scope], "signatureVerification": {"level": "strict"},
        "trustStores": ["ca:test"], "trustedIdentities": ["*"],
    }  # fmt: skip
    (directory / "trustpolicy.json").write_text(json.dumps({"version": "1.0", "trustPolicies": [policy | changes]}))
    return directory / "trustpolicy.json"


ENVELOPES = {JWS: jws, COSE: cose}
