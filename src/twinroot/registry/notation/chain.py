"""Certificates of a signature: the signature itself, what each may be used for, and who vouches for whom.

Notary Project specification "signature-specification", sections on algorithms and certificate requirements.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.x509.oid import ExtendedKeyUsageOID

from twinroot.errors import FormatError
from twinroot.registry.notation.envelope import Envelope

_HASHES: dict[str, Callable[[], hashes.HashAlgorithm]] = {
    "256": hashes.SHA256,
    "384": hashes.SHA384,
    "512": hashes.SHA512,
}
# Which algorithm belongs to which key: bits of RSA keys, names of curves.
_RSA = {2048: "PS256", 3072: "PS384", 4096: "PS512"}
_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_CODE_SIGNING = ExtendedKeyUsageOID.CODE_SIGNING


def check_signature(envelope: Envelope) -> None:
    """That the signature is one of the first certificate's key; FormatError otherwise."""
    key = envelope.chain[0].public_key()
    digest = _HASHES[envelope.algorithm[2:]]()
    try:
        if isinstance(key, rsa.RSAPublicKey) and _RSA.get(key.key_size) == envelope.algorithm:
            pss = padding.PSS(padding.MGF1(digest), digest.digest_size)
            key.verify(envelope.signature, envelope.signed, pss, digest)
        elif isinstance(key, ec.EllipticCurvePublicKey) and _CURVES.get(key.curve.name) == envelope.algorithm:
            key.verify(_dss(envelope.signature, key), envelope.signed, ec.ECDSA(digest))
        else:
            raise FormatError(f"the signing key is none that may sign with {envelope.algorithm}")
    except InvalidSignature as error:
        raise FormatError("the signature is wrong: what was signed has been changed, or by another key") from error


def check_chain(chain: Sequence[x509.Certificate]) -> None:
    """That every certificate was issued by the next one, up to one that vouches for itself, and may do what it does."""
    for issued, issuer in zip(chain, (*chain[1:], chain[-1]), strict=True):
        try:
            issued.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm) as error:
            raise FormatError(f"the certificate of {_name(issued)} was not issued by {_name(issuer)}") from error
    try:
        _check_leaf(chain[0], alone=len(chain) == 1)
        for above, certificate in enumerate(chain[1:]):
            _check_authority(certificate, above)
    except (x509.DuplicateExtension, ValueError) as error:
        raise FormatError(f"a certificate of the signature has broken extensions: {error}") from error


def check_validity(chain: Sequence[x509.Certificate], when: datetime) -> None:
    """That all certificates were valid at a time."""
    for certificate in chain:
        if not certificate.not_valid_before_utc <= when <= certificate.not_valid_after_utc:
            span = f"{certificate.not_valid_before_utc:%Y-%m-%d} to {certificate.not_valid_after_utc:%Y-%m-%d}"
            raise FormatError(f"the certificate of {_name(certificate)} is valid from {span}, not on {when:%Y-%m-%d}")


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of a certificate, in hex."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def _check_leaf(certificate: x509.Certificate, *, alone: bool) -> None:
    usage = _extension(certificate, x509.KeyUsage)
    if usage is None or not usage.critical or not usage.value.digital_signature:
        raise FormatError(f"the certificate of {_name(certificate)} is not one for signing")
    constraints = _extension(certificate, x509.BasicConstraints)
    if constraints is not None and constraints.value.ca and not alone:
        raise FormatError(f"the certificate of {_name(certificate)} is that of an authority")
    purposes = _extension(certificate, x509.ExtendedKeyUsage)
    if purposes is not None and _CODE_SIGNING not in purposes.value:
        raise FormatError(f"the certificate of {_name(certificate)} is not one for signing code")


def _check_authority(certificate: x509.Certificate, above: int) -> None:
    constraints, usage = _extension(certificate, x509.BasicConstraints), _extension(certificate, x509.KeyUsage)
    if constraints is None or not constraints.value.ca or usage is None or not usage.value.key_cert_sign:
        raise FormatError(f"the certificate of {_name(certificate)} is not that of an authority")
    length = constraints.value.path_length
    if length is not None and above > length:
        raise FormatError(f"the authority {_name(certificate)} may not stand that high in a chain")


def _extension(certificate: x509.Certificate, kind: type[x509.ExtensionType]) -> x509.Extension | None:  # type: ignore[type-arg]
    try:
        return certificate.extensions.get_extension_for_class(kind)
    except x509.ExtensionNotFound:
        return None


def _dss(signature: bytes, key: ec.EllipticCurvePublicKey) -> bytes:
    """JWS and COSE write the two numbers side by side."""
    size = (key.curve.key_size + 7) // 8
    if len(signature) != 2 * size:
        raise FormatError("the signature has the wrong length")
    return encode_dss_signature(int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big"))


def _name(certificate: x509.Certificate) -> str:
    return repr(certificate.subject.rfc4514_string()[:120])
