"""Whether certificates were revoked, by the lists (CRL, RFC 5280) that they name.

A certificate that names no list and no OCSP server cannot be revoked. One that names OCSP servers alone cannot be
checked by this version.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import pairwise

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from twinroot.errors import FormatError, NetworkError, TwinrootError

log = logging.getLogger(__name__)

# The bytes of a URL; bounded by whoever fetches.
Fetch = Callable[[str], bytes]


def check_revocation(chain: Sequence[x509.Certificate], fetch: Fetch, now: datetime | None = None) -> None:
    """FormatError when a certificate was revoked, NetworkError when that cannot be found out."""
    for certificate, issuer in pairwise(chain):
        urls = _lists(certificate)
        if urls:
            _check(certificate, issuer, urls, fetch, now or datetime.now(UTC))
        elif _names_ocsp(certificate):
            raise NetworkError(
                f"whether the certificate of {_name(certificate)} was revoked is only known to an OCSP server",
                hint="this version asks revocation lists only; let the trust policy override 'revocation'",
            )


def _check(
    certificate: x509.Certificate, issuer: x509.Certificate, urls: Sequence[str], fetch: Fetch, now: datetime
) -> None:
    failure: TwinrootError | None = None
    for url in urls:
        try:
            revoked = _load(fetch(url), issuer, now, url).get_revoked_certificate_by_serial_number(
                certificate.serial_number
            )
        except TwinrootError as error:
            failure = error
            continue
        if revoked is not None and not _removed(revoked):
            raise FormatError(f"the certificate of {_name(certificate)} was revoked")
        return
    raise NetworkError(
        f"whether the certificate of {_name(certificate)} was revoked cannot be found out: "
        f"{failure and failure.message}",
        hint="try again later, or let the trust policy override 'revocation'",
    )


def _load(data: bytes, issuer: x509.Certificate, now: datetime, url: str) -> x509.CertificateRevocationList:
    try:
        pem = data.lstrip().startswith(b"-----")
        found = x509.load_pem_x509_crl(data) if pem else x509.load_der_x509_crl(data)
        signed = found.issuer == issuer.subject and found.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]
    except (ValueError, TypeError) as error:
        raise FormatError("the revocation list cannot be read", where=url) from error
    if not signed:
        raise FormatError("the revocation list is not of the certificate's issuer", where=url)
    until = found.next_update_utc
    if found.last_update_utc > now or until is None or until < now:
        raise FormatError("the revocation list is out of date", where=url)
    return found


def _lists(certificate: x509.Certificate) -> list[str]:
    try:
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except x509.ExtensionNotFound:
        return []
    names = [name.value for point in points for name in point.full_name or () if isinstance(name.value, str)]
    return [name for name in names if name.startswith(("http://", "https://"))]


def _names_ocsp(certificate: x509.Certificate) -> bool:
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        return False
    return any(one.access_method == AuthorityInformationAccessOID.OCSP for one in access)


def _removed(revoked: x509.RevokedCertificate) -> bool:
    try:
        reason = revoked.extensions.get_extension_for_class(x509.CRLReason).value.reason
    except x509.ExtensionNotFound:
        return False
    return reason is x509.ReasonFlags.remove_from_crl


def _name(certificate: x509.Certificate) -> str:
    return repr(certificate.subject.rfc4514_string()[:120])
