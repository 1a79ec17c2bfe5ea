"""Signatures of pulled images: whose count, and everything that makes one count no more."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from tests.images import command
from tests.registry.servers import Registry, Scripted, docker_registry
from tests.registry.signing import ENVELOPES, NOW, Signer, attach, cose, jws, trust
from tests.registry.test_pull import pull
from twinroot.config.registry_reference import Reference, azure_linux_reference
from twinroot.errors import FormatError, InputError, TwinrootError
from twinroot.registry.access import Trust
from twinroot.registry.manifest import Descriptor
from twinroot.registry.notation import cbor
from twinroot.registry.notation.envelope import COSE, JWS, parse_envelope
from twinroot.registry.notation.policy import AZURE_LINUX, Policy, find_policy
from twinroot.registry.notation.revocation import check_revocation
from twinroot.registry.notation.verify import verify
from twinroot.registry.trust import policy_for

TARGET = {"mediaType": "a/b", "digest": "sha256:" + "1" * 64, "size": 10}
WHERE = Reference("example.com", "a/b")


def unasked(_chain: Sequence[x509.Certificate]) -> None:
    pass


def check(data: bytes, media_type: str, policy: Policy, target: dict[str, Any] = TARGET) -> str:
    descriptor = Descriptor(target["mediaType"], target["digest"], target["size"])
    return verify(data, media_type, descriptor, policy, NOW, unasked)


def policy_of(directory: Path, signer: Signer, **changes: Any) -> Policy:
    found = find_policy(WHERE, trust(directory, signer, **changes))
    assert found
    return found


@pytest.mark.parametrize("use_rsa", [False, True])
@pytest.mark.parametrize("media_type", [JWS, COSE])
def test_a_signature_of_a_trusted_signer_counts(tmp_path: Path, media_type: str, use_rsa: bool) -> None:
    signer = Signer(use_rsa=use_rsa)
    envelope = ENVELOPES[media_type](signer, TARGET, expiry=NOW + timedelta(days=1))
    assert check(envelope, media_type, policy_of(tmp_path, signer)) == "CN=signer,O=Test,C=DE"
    identities = ["x509.subject: C=DE, O=Test"]
    assert check(envelope, media_type, policy_of(tmp_path, signer, trustedIdentities=identities))


def changed_payload(data: bytes) -> bytes:
    parts = json.loads(data)
    parts["payload"] = parts["payload"][:-4] + "AAAA"
    return json.dumps(parts).encode()


TARGETS = {"digest": "sha256:" + "2" * 64, "size": 11}
BAD: dict[str, tuple[Callable[[], tuple[Signer, bytes]], str]] = {}


def bad(message: str) -> Callable[[Callable[[], tuple[Signer, bytes]]], None]:
    def register(make: Callable[[], tuple[Signer, bytes]]) -> None:
        BAD[make.__name__] = (make, message)

    return register


@bad("what was signed has been changed")
def tampered() -> tuple[Signer, bytes]:
    signer = Signer()
    return signer, changed_payload(jws(signer, TARGET))


@bad("about another artifact")
def other_digest() -> tuple[Signer, bytes]:
    signer = Signer()
    return signer, jws(signer, TARGET | {"digest": TARGETS["digest"]})


@bad("about another artifact")
def other_size() -> tuple[Signer, bytes]:
    signer = Signer()
    return signer, jws(signer, TARGET | {"size": 11})


@bad("nobody whom policy 'test-policy' trusts vouches for the signer")
def stranger() -> tuple[Signer, bytes]:
    return Signer(), jws(Signer(), TARGET)


@bad("the signature expired on")
def expired() -> tuple[Signer, bytes]:
    signer = Signer()
    return signer, jws(signer, TARGET, expiry=NOW - timedelta(days=1))


@bad("is valid from")
def certificate_expired() -> tuple[Signer, bytes]:
    signer = Signer(days=(-5, -1))
    return signer, jws(signer, TARGET)


@bad("is valid from")
def certificate_not_yet_valid() -> tuple[Signer, bytes]:
    signer = Signer(days=(1, 5))
    return signer, jws(signer, TARGET)


@bad("is not one for signing code")
def web_server() -> tuple[Signer, bytes]:
    signer = Signer(purpose=x509.oid.ExtendedKeyUsageOID.SERVER_AUTH)
    return signer, jws(signer, TARGET)


@bad("is not one for signing")
def not_for_signing() -> tuple[Signer, bytes]:
    signer = Signer(signing=False)
    return signer, jws(signer, TARGET)


@bad("is not that of an authority")
def issued_by_no_authority() -> tuple[Signer, bytes]:
    signer = Signer(authority_is_one=False)
    return signer, jws(signer, TARGET)


@bad("was not issued by")
def broken_chain() -> tuple[Signer, bytes]:
    signer, other = Signer(), Signer()
    signer.root = other.root
    return signer, jws(signer, TARGET)


@bad("may sign with PS256")
def wrong_algorithm() -> tuple[Signer, bytes]:
    signer = Signer()
    return signer, jws(signer, TARGET, alg="PS256")


@bad("algorithm 'none' is not one of those")
def no_algorithm() -> tuple[Signer, bytes]:
    signer = Signer()
    return signer, jws(signer, TARGET, alg="none")


@bad("does not mark as critical")
def expiry_not_critical() -> tuple[Signer, bytes]:
    signer = Signer()
    return signer, jws(signer, TARGET, expiry=(NOW - timedelta(days=1)), crit=["io.cncf.notary.signingScheme"])


@bad("demands what is not known here: io.cncf.notary.verificationPlugin")
def plugin() -> tuple[Signer, bytes]:
    signer = Signer()
    return signer, jws(signer, TARGET, crit=["io.cncf.notary.signingScheme", "io.cncf.notary.verificationPlugin"])


@bad("is not JSON")
def no_json() -> tuple[Signer, bytes]:
    return Signer(), b"\xd2"


@pytest.mark.parametrize("case", BAD)
def test_signatures_that_do_not_count(tmp_path: Path, case: str) -> None:
    make, message = BAD[case]
    signer, envelope = make()
    with pytest.raises(FormatError) as caught:
        check(envelope, JWS, policy_of(tmp_path, signer))
    assert message in caught.value.message


def test_cut_and_flipped_cose_never_counts(tmp_path: Path) -> None:
    signer = Signer()
    policy, good = policy_of(tmp_path, signer), cose(signer, TARGET)
    # What is outside the signature: the certificates, of which the first must still fit and the chain hold.
    for position in range(0, len(good), 7):
        for data in (good[:position], good[:position] + bytes([good[position] ^ 0x41]) + good[position + 1 :]):
            with pytest.raises(TwinrootError):
                check(data, COSE, policy)


HOSTILE_CBOR = [
    "",
    "9f",
    "5f",
    "82",
    "a200000000",
    "a2010102",
    "ba7fffffff",
    "9b7fffffffffffffff",
    "81" * 40,
    "62ffff",
    "fb00",
    "a1a000",
]


@pytest.mark.parametrize("data", HOSTILE_CBOR)
def test_hostile_cbor_is_an_ordinary_error(data: str) -> None:
    with pytest.raises(FormatError):
        cbor.decode(bytes.fromhex(data))
    with pytest.raises(FormatError):
        parse_envelope(bytes.fromhex(data), COSE)


def test_levels_and_overrides(tmp_path: Path) -> None:
    signer = Signer(days=(-5, -1))
    envelope = jws(signer, TARGET, expiry=NOW - timedelta(days=1))
    for verification, counts in (
        ({"level": "strict"}, False),
        ({"level": "permissive"}, True),
        ({"level": "strict", "override": {"expiry": "skip", "authenticTimestamp": "log"}}, True),
        ({"level": "permissive", "override": {"expiry": "enforce"}}, False),
    ):
        policy = policy_of(tmp_path, signer, signatureVerification=verification)
        if counts:
            assert check(envelope, JWS, policy)
        else:
            with pytest.raises(FormatError):
                check(envelope, JWS, policy)
    audit = policy_of(tmp_path, Signer(), signatureVerification={"level": "audit"})
    assert check(envelope, JWS, audit)
    with pytest.raises(FormatError):
        check(changed_payload(envelope), JWS, audit)
    assert policy_of(tmp_path, signer, signatureVerification={"level": "skip"}).skips


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trustedIdentities": ["x509.subject: C=FR"]}, "is none of the identities"),
        ({"trustedIdentities": ["x509.subject: CN=signer, CN=root"]}, "is none of the identities"),
    ],
)
def test_other_identities(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    signer = Signer()
    with pytest.raises(FormatError, match=message):
        check(jws(signer, TARGET), JWS, policy_of(tmp_path, signer, **changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"signatureVerification": {"level": "lax"}}, "has no level"),
        ({"signatureVerification": {"level": "strict", "override": {"integrity": "skip"}}}, "overrides are not right"),
        ({"trustStores": []}, "names no trust stores"),
        ({"trustStores": ["ca:../../../x"]}, "is no trust store"),
        ({"trustStores": ["ca:absent"]}, "the trust store cannot be read"),
        ({"trustedIdentities": []}, "names no trusted identities"),
        ({"trustedIdentities": ["somebody"]}, "is no identity"),
    ],
)
def test_policies_that_are_not_right(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        policy_of(tmp_path, Signer(), **changes)


def test_which_policy_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    azure = azure_linux_reference("minimal-os", "3.0")
    assert policy_for(azure, Trust()) is AZURE_LINUX
    assert policy_for(azure, Trust(skip=True)) is None
    assert policy_for(azure, Trust(), azure_linux=True) is AZURE_LINUX
    with pytest.raises(InputError, match="not for images of azureLinux"):
        policy_for(azure, Trust(skip=True), azure_linux=True)
    assert policy_for(WHERE, Trust()) is None
    file = trust(tmp_path / "policy", Signer(), scope="example.com/a/b")
    found = policy_for(WHERE, Trust(file))
    assert found
    assert found.name == "test-policy"
    with pytest.raises(InputError, match=r"no policy is about example\.com/c"):
        policy_for(Reference("example.com", "c"), Trust(file))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    trust(tmp_path / "config/notation", Signer(), scope="example.com/a/b")
    assert policy_for(WHERE, Trust())
    assert policy_for(Reference("example.com", "c"), Trust()) is None


def test_revocation() -> None:
    signer = Signer(crl_url="http://lists.example/a.crl")
    chain = (signer.leaf, signer.root)
    check_revocation(chain, lambda _url: signer.revocation_list(1, 2), NOW)
    for data, message in (
        (signer.revocation_list(signer.leaf.serial_number), "was revoked"),
        (Signer().revocation_list(), "is not of the certificate's issuer"),
        (b"nonsense", "the revocation list cannot be read"),
    ):
        with pytest.raises(TwinrootError, match=message):
            check_revocation(chain, lambda _url, data=data: data, NOW)  # type: ignore[misc]
    with pytest.raises(TwinrootError, match="out of date"):
        check_revocation(chain, lambda _url: signer.revocation_list(), NOW + timedelta(days=9))


@pytest.mark.parametrize("media_type", [JWS, COSE])
def test_pulling_what_is_signed(plain: Registry, tmp_path: Path, media_type: str) -> None:
    signer, name = Signer(), f"signed/{media_type.split('/')[1].split('+')[0]}"
    target = plain.put_artifact(name, "1", {"f": b"x"})
    file = trust(tmp_path / "policy", signer, scope=f"{plain.host}/{name}")
    reference = f"{plain.host}/{name}:1"
    done = pull(reference, tmp_path / "out", "--trust-policy", file)
    assert done.code == 1
    assert "this is not signed, and policy 'test-policy' wants it to be" in done.stderr
    assert list((tmp_path / "out").iterdir()) == []
    attach(plain, name, target, ENVELOPES[media_type](Signer(), target), media_type)
    assert "vouches for the signer" in pull(reference, tmp_path / "out", "--trust-policy", file).stderr
    attach(plain, name, target, ENVELOPES[media_type](signer, target), media_type)
    done = pull(reference, tmp_path / "out", "--trust-policy", file)
    assert done.code == 0, done.stderr
    assert "Signature verified (policy test-policy): signed by CN=signer,O=Test,C=DE" in done.stderr


def test_a_revoked_signer(plain: Registry, scripted: Scripted, tmp_path: Path) -> None:
    signer = Signer(crl_url=f"http://{scripted.host}/v2/list")
    target = plain.put_artifact("revoked", "1", {"f": b"x"})
    attach(plain, "revoked", target, jws(signer, target), JWS)
    arguments = [f"{plain.host}/revoked:1", tmp_path / "out", "--trust-policy", trust(tmp_path / "policy", signer)]
    scripted.content["list"] = ("", signer.revocation_list())
    assert pull(*arguments).code == 0  # type: ignore[arg-type]
    scripted.content["list"] = ("", signer.revocation_list(signer.leaf.serial_number))
    assert "was revoked" in pull(*arguments).stderr  # type: ignore[arg-type]


def test_signed_bases_are_verified_before_and_without_a_network(tmp_path: Path) -> None:
    signer = Signer()
    (tmp_path / "registry").mkdir()
    config = "previewFeatures: [input-image-oci]\n"
    (tmp_path / "c.yaml").write_text(config)
    with docker_registry(tmp_path / "registry") as registry:
        reference = f"{registry.host}/base:1"
        target = registry.put_artifact("base", "1", {"image.raw": b"no disk"})
        file = trust(tmp_path / "policy", signer)
        arguments = [
            "--build-dir", tmp_path / "build", "--config-file", tmp_path / "c.yaml", "--image", f"oci:{reference}",
            "--image-cache-dir", tmp_path / "cache", "--output-image-file", tmp_path / "o.raw",
            "--output-image-format", "raw", "--trust-policy", file,
        ]  # fmt: skip
        done = command("imagecustomizer", *arguments)
        assert "this is not signed" in done.stderr
        assert list((tmp_path / "cache/digests").iterdir()) == []
        attach(registry, "base", target, jws(signer, target), JWS)
        done = command("imagecustomizer", *arguments)
        assert "Signature verified" in done.stderr
    done = command("imagecustomizer", *arguments)
    assert "using what is in the cache" in done.stderr
    assert "Signature verified" in done.stderr
    trust(tmp_path / "policy", Signer())
    done = command("imagecustomizer", *arguments)
    assert "vouches for the signer" in done.stderr
    assert "Opening the base image" not in done.stderr
