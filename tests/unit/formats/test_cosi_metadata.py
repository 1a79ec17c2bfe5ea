"""metadata.json: the published samples, each rule, what we write, and the value that protects it."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinroot.errors import FormatError
from twinroot.formats.cosi import metadata as documents
from twinroot.formats.cosi import model
from twinroot.formats.cosi.metadata import MetadataError, inspect, parse, to_json

SAMPLES = Path(__file__).parent / "samples"
SCHEMA = json.loads((SAMPLES / "cosi-metadata-v1.2.schema.json").read_text())
Json = dict[str, Any]

# The verdicts of COSI spec 12.1 (strict: the schema's). The one deviation, a hash image without region, is in `rules`.
VERDICTS = {
    "valid/grub-simple": (True, True),
    "valid/verity-uki-systemd-boot": (True, True),
    "invalid/missing-os-arch": (False, False),
    "invalid/wrong-version": (False, True),
    "invalid/missing-image-path-prefix": (False, False),
    "invalid/partition-region-missing-number": (False, False),
    "invalid/gpt-missing-primary-region": (False, False),
    "invalid/invalid-part-type-uuid": (False, False),
    "invalid/invalid-lba-size": (False, True),
    "invalid/os-package-missing-arch": (False, False),
    "invalid/unknown-bootloader-type": (False, True),
    "invalid/short-sha384": (False, False),
    "invalid/systemd-boot-missing-config": (False, False),
    "invalid/missing-os-packages": (False, False),
}


def sample(name: str) -> bytes:
    return (SAMPLES / f"{name}.json").read_bytes()


def base() -> Json:
    loaded = json.loads(sample("valid/verity-uki-systemd-boot"))
    hash_image = loaded["images"][1]["verity"]["image"]
    loaded["disk"]["gptRegions"].append({"image": hash_image, "type": "partition", "number": 3})
    assert isinstance(loaded, dict)
    return loaded


def rules(document: Json, *, strict: bool, errors: bool = True) -> set[str]:
    found = inspect(json.dumps(document).encode(), strict=strict).findings
    return {finding.rule for finding in found if finding.error is errors}


def test_every_sample_has_a_verdict() -> None:
    found = {str(path.relative_to(SAMPLES).with_suffix("")) for path in SAMPLES.glob("*/*.json")}
    assert found == set(VERDICTS)


@pytest.mark.parametrize("name", VERDICTS)
def test_samples(name: str) -> None:
    strict, compat = VERDICTS[name]
    assert inspect(sample(name), strict=True).ok is strict
    assert inspect(sample(name), strict=False).ok is compat
    assert jsonschema.Draft202012Validator(SCHEMA).is_valid(json.loads(sample(name))) is strict


def test_hash_image_without_region_is_a_warning() -> None:
    for strict in (True, False):
        (finding,) = inspect(sample("valid/verity-uki-systemd-boot"), strict=strict).findings
        assert (finding.rule, finding.error) == ("V18", False)


@pytest.mark.parametrize("name", ["valid/grub-simple", "valid/verity-uki-systemd-boot"])
def test_what_we_write_reads_the_same(name: str) -> None:
    metadata = parse(sample(name), strict=True)
    text = to_json(metadata)
    assert parse(text, strict=True) == metadata
    jsonschema.validate(json.loads(text), SCHEMA, jsonschema.Draft202012Validator)
    assert text.startswith(b'{\n  "version": "1.2",\n')
    original = json.loads(sample(name))
    written = json.loads(text)
    assert {key: written[key] for key in original} == original


def put(*path: str | int, value: Any) -> Callable[[Json], None]:
    def change(document: Any) -> None:
        for step in path[:-1]:
            document = document[step]
        document[path[-1]] = value

    return change


def drop(*path: str | int) -> Callable[[Json], None]:
    def change(document: Any) -> None:
        for step in path[:-1]:
            document = document[step]
        del document[path[-1]]

    return change


REGIONS = ("disk", "gptRegions")
ENTRIES = ("bootloader", "systemdBoot", "entries")
# (change, rules broken in compat mode, rules broken in strict mode)
BREAKING = [
    (put("version", value=1), {"M3"}, {"M3"}),
    (put("version", value="1"), {"M3"}, {"M3"}),
    (put("version", value="1.0.0"), {"M3"}, {"M3"}),
    (put("version", value="v1.0"), {"M3"}, {"M3"}),
    (put("version", value="1."), {"M3"}, {"M3"}),
    (put("version", value="1.4294967296"), {"M3"}, {"M3"}),
    (put("version", value="1." + "9" * 5000), {"M3"}, {"M3"}),
    (put("version", value="2.0"), {"M4"}, {"M4"}),
    (drop("version"), {"M3"}, {"M3"}),
    (put("osArch", value="riscv64"), {"S1"}, {"S1"}),
    (drop("osRelease"), {"S2"}, {"S2"}),
    (put("images", value=None), {"S3"}, {"S3"}),
    (put("images", value={}), {"S3"}, {"S3"}),
    (put("images", 0, value=7), {"S3"}, {"S3"}),
    *((drop("images", 0, key), {"S3"}, {"S3"}) for key in ("image", "mountPoint", "fsType", "fsUuid", "partType")),
    *((drop("images", 0, "image", key), {"S4"}, {"S4"}) for key in ("path", "compressedSize", "sha384")),
    (put("images", 0, "image", "uncompressedSize", value=-1), {"S4"}, {"S4"}),
    (put("images", 0, "image", "uncompressedSize", value=1.5), {"S4"}, {"S4"}),
    (put("images", 0, "image", "uncompressedSize", value=True), {"S4"}, {"S4"}),
    *((put("images", 0, "image", "uncompressedSize", value=size), {"S4"}, {"S4"}) for size in (2**63, 2**64)),
    (put("images", 0, "image", "sha384", value="g" * 96), {"S4"}, {"S4"}),
    (put("images", 0, "fsType", value="zfs"), {"S5"}, {"S5"}),
    (put("images", 0, "partType", value="boot"), {"S5"}, {"S5"}),
    (drop("images", 1, "verity", "roothash"), {"S6"}, {"S6"}),
    (drop("images", 1, "verity", "image"), {"S6"}, {"S6"}),
    (drop("osPackages", 0, "name"), {"S7"}, {"S7"}),
    (put("osPackages", 0, "arch", value="i686"), {"S7"}, {"S7"}),
    (put("id", value="not-a-uuid"), {"S8"}, {"S8"}),
    (drop("bootloader", "type"), {"S9"}, {"S9"}),
    (drop("bootloader", "systemdBoot", "entries"), {"S9"}, {"S9"}),
    *((drop(*ENTRIES, 0, key), {"S9"}, {"S9"}) for key in ("type", "path", "cmdline", "kernel")),
    *((drop("disk", key), {"S10"}, {"S10"}) for key in ("size", "type", "lbaSize")),
    (put("disk", "size", value=2**63), {"S10"}, {"S10"}),
    (drop(*REGIONS, 1, "number"), {"S10"}, {"S10"}),
    (put(*REGIONS, 1, "number", value=2**32), {"S10"}, {"S10"}),
    (drop("compression", "maxWindowLog"), {"S11"}, {"S11"}),
    (put("images", 1, "mountPoint", value="/boot/efi"), {"V1"}, {"V1"}),
    (drop("bootloader"), {"V2"}, {"V2"}),
    (put("bootloader", "type", value="grub"), {"V3"}, {"V3"}),
    (drop("bootloader", "systemdBoot"), {"V4"}, {"V4"}),
    (put(*ENTRIES, value=[]), {"V5"}, {"V5"}),
    (drop("osPackages", 0, "release"), {"V6"}, {"V6"}),
    (drop("osPackages", 0, "arch"), {"V7"}, {"V7"}),
    (drop("osPackages"), {"V8"}, {"V8"}),
    (drop("compression"), {"V9"}, {"V9"}),
    (drop("disk"), {"V10"}, {"V10"}),
    (put("disk", "type", value="mbr"), {"V11"}, {"V11"}),
    (put(*REGIONS, value=[]), {"V12"}, {"V12"}),
    (drop(*REGIONS), {"V12"}, {"V12"}),
    (put(*REGIONS, 2, "type", value="primary-gpt"), {"V14", "V18"}, {"V14", "V18"}),
    (put(*REGIONS, 1, "number", value=0), {"V15"}, {"V15"}),
    (put(*REGIONS, 1, "number", value=2), {"V16"}, {"V16"}),
    (put(*REGIONS, 1, "image", "compressedSize", value=1), {"V17"}, {"V17"}),
    (put(*REGIONS, 1, "image", "sha384", value="0" * 96), {"V17"}, {"V17"}),
    (drop(*REGIONS, 1), {"V18"}, {"V18"}),
    (put("disk", "size", value=1000), set(), {"3.5"}),
    (put("disk", "lbaSize", value=1024), set(), {"D4"}),
    (put(*REGIONS, 0, "image", "path", value="gpt.zst"), set(), {"T11"}),
    (put("images", 0, "mountPoint", value="boot"), set(), {"3.2"}),
    (put("images", 0, "fsUuid", value=""), set(), {"3.2"}),
    (put("images", 0, "fsUuid", value="88d2fa9b-7a32-450a-a9f8-aa9c3de79298"), set(), {"X3"}),
    (put("images", 0, "partType", value="linux-generic"), set(), {"3.2", "A3"}),
    (put("images", 1, "verity", "roothash", value="xyz"), set(), {"3.3"}),
    (put("bootloader", value={"type": "lilo"}), set(), {"3.8"}),
    (put(*ENTRIES, 0, "type", value="other"), set(), {"3.8"}),
    (put(*ENTRIES, 0, "path", value="EFI/a.efi"), set(), {"3.8"}),
    (put("version", value="1.1"), set(), {"M3"}),
]


@pytest.mark.parametrize(("change", "compat", "strict"), BREAKING)
def test_each_rule(change: Callable[[Json], None], compat: set[str], strict: set[str]) -> None:
    document = base()
    assert rules(document, strict=True) == set()
    change(document)
    assert rules(document, strict=False) == compat
    assert rules(document, strict=True) == strict
    assert strict - compat <= rules(document, strict=False, errors=False)


HARMLESS = [
    put("images", 1, "verity", value=None),
    drop("images", 1, "verity"),
    put("unknown", value={"a": [1]}),
    put("images", 0, "image", "unknown", value=None),
    put("osArch", value="AMD64"),
    put("osPackages", 0, "arch", value="NOARCH"),
    put("osPackages", 0, "arch", value=""),
    put("osPackages", 0, "arch", value="aarch64"),
    put("id", value="5A2D4C0E-6B0E-4B7E-9F64-0B5D1C2E3F40"),
    put("id", value=None),
    put("bootloader", value={"type": "grub", "systemdBoot": None}),
    put("images", 0, "image", "sha384", value=base()["images"][0]["image"]["sha384"].upper()),
    put("images", 0, "partType", value="C12A7328-F81F-11D2-BA4B-00A0C93EC93B"),
]


@pytest.mark.parametrize("change", HARMLESS)
def test_what_must_be_accepted(change: Callable[[Json], None]) -> None:
    document = base()
    change(document)
    assert rules(document, strict=True) == set()


def test_all_problems_are_told_with_their_places() -> None:
    document = base()
    for change in (drop("osArch"), drop("images", 1, "fsType"), put("images", 0, "image", "sha384", value="12")):
        change(document)
    with pytest.raises(MetadataError) as caught:
        parse(json.dumps(document).encode())
    places = {finding.where for finding in caught.value.findings}
    assert places == {"$.osArch", "$.images[1].fsType", "$.images[0].image.sha384"}
    assert "$.images[1].fsType: is missing [S3]" in str(caught.value)


NO_JSON_OBJECT = (
    *(b"", b"{", b"[]", b"null", b"\xff\xfe", b"\xef\xbb\xbf{}"),
    *(b'{"a": NaN}', b'{"a": "\\ud800"}', b'{"a":1,"a":2}', b"[" * 100_000, b'{"version": ' + b"1" * 5000 + b"}"),
)


def test_no_json_object() -> None:
    for text in NO_JSON_OBJECT:
        for strict in (True, False):
            assert not inspect(text, strict=strict).ok
        assert documents.integrity_problem(text, required=True)


def with_fields(count: int, *more: str) -> bytes:
    """A good document that begins with fields that nobody knows, and others."""
    fields = [f'"unknown-{number}": 0' for number in range(count)]
    return ("{" + ", ".join((*fields, *more)) + ", " + json.dumps(base())[1:]).encode()


def test_fields_that_appear_twice() -> None:
    """What nobody knows is ignored, however often it is there."""
    assert inspect(with_fields(1, '"unknown-0": 1', '"vendor": {"a": 1, "a": 2}'), strict=True).ok
    (finding,) = inspect(with_fields(1, '"osArch": "arm64"'), strict=False).findings
    assert "the field 'osArch' appears twice" in finding.message


def test_very_many_fields_of_which_one_appears_twice() -> None:
    """Looking for each among all others would take half an hour."""
    (finding,) = inspect(with_fields(490_000, '"osArch": "arm64"'), strict=False).findings
    assert "the field 'osArch' appears twice" in finding.message


def old(version: str) -> Json:
    document = base()
    document["version"] = version
    del document["disk"], document["compression"]
    if version == "1.0":
        del document["bootloader"], document["osPackages"][0]["release"], document["osPackages"][0]["arch"]
    return document


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_older_revisions(version: str) -> None:
    assert rules(old(version), strict=True) == set()
    metadata = parse(json.dumps(old(version)).encode())
    assert metadata.disk is None
    assert metadata.gpt_region() is None
    assert list(metadata.image_files()) == ["images/esp.rawzst", "images/root.rawzst", "images/root-verity.rawzst"]


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2"])
@pytest.mark.parametrize("key", ["compressedSize", "uncompressedSize", "sha384"])
def test_one_image_described_in_two_ways(version: str, key: str) -> None:
    document = base() if version == "1.2" else old(version)
    if version == "1.2":  # an image that is no region, so that V17 does not speak of it
        document["disk"]["gptRegions"].pop()
    document["images"].append(document["images"][1] | {"mountPoint": "/srv", "fsUuid": "other"})
    assert rules(document, strict=True) == set()
    again = copy.deepcopy(document["images"][2])
    again["verity"]["image"][key] = "0" * 96 if key == "sha384" else 5
    document["images"][2] = again
    assert rules(document, strict=True) == {"3.4"}
    assert rules(document, strict=False) == set() and "3.4" in rules(document, strict=False, errors=False)


def test_newer_minor_revisions_are_read_as_the_newest_known() -> None:
    document = base() | {"version": "1.7"}
    assert rules(document, strict=True) == set()
    assert rules(document, strict=True, errors=False) == {"M4"}
    del document["disk"]
    assert rules(document, strict=False) == {"V10"}


def test_windows_that_take_much_memory_are_a_warning() -> None:
    for log, said in ((27, []), (31, ["is 31, for which"]), (2**32 - 1, ["is 4294967295, for which"])):
        found = inspect(json.dumps(base() | {"compression": {"maxWindowLog": log}}).encode(), strict=True)
        assert found.ok
        assert [each.message for each in found.findings] == [f"{e} readers may need 2 GiB of memory" for e in said]


def test_packages_may_be_missing_for_azure_container_linux() -> None:
    document = base() | {"osRelease": 'ID=acl\nVARIANT_ID="azurecontainerlinux"\n'}
    del document["osPackages"]
    assert rules(document, strict=False) == set()
    assert rules(document, strict=True) == {"SCHEMA"}


@pytest.mark.parametrize(
    ("name", "arch", "expected"),
    [
        ("esp", "x86_64", "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"),
        ("root", "x86_64", "4f68bce3-e8cd-4db1-96e7-fbcaf984b709"),
        ("root", "arm64", "b921b045-1df0-41c3-af44-4c6f280d3fae"),
        ("root-arm64-verity", "x86_64", "df3300ce-d69f-4c92-978c-9bfb0f38d820"),
        ("usr-x86-64", "arm64", "8484680c-9521-48c6-9c11-b0720656f69e"),
        ("usr-x86-64-verity-sig", "arm64", "e7bb33fb-06cf-4e81-8273-e543b413e2e2"),
        ("bios-grub", "x86_64", None),
        ("root-x86_64", "x86_64", None),
    ],
)
def test_names_of_partition_types(name: str, arch: str, expected: str | None) -> None:
    document = base() | {"osArch": arch}
    document["images"][1]["partType"] = name
    if expected is None:
        assert rules(document, strict=False) == {"S5"}
    else:
        metadata = parse(json.dumps(document).encode())
        assert metadata.images[1].part_type == UUID(expected)


@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda s: st.lists(s, max_size=3)), st.data()
)
def test_wrong_types_anywhere_never_crash(value: Any, data: st.DataObject) -> None:
    document = base()
    where: Any = document
    while isinstance(where, dict | list) and where:
        keys = sorted(where) if isinstance(where, dict) else list(range(len(where)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(where[key], dict | list) or data.draw(st.booleans()):
            where[key] = value
            break
        where = where[key]
    for strict in (True, False):
        found = inspect(json.dumps(document).encode(), strict=strict)
        assert found.ok == (not any(finding.error for finding in found.findings))


@pytest.mark.parametrize(
    ("arch", "expected"),
    [("x86_64", "x86_64"), ("noarch", "noarch"), ("amd64", "amd64"), ("all", "all"), ("i686", "(none)"), ("", "")],
)
def test_package_architectures_that_would_spoil_the_file(arch: str, expected: str) -> None:
    assert model.package_architecture(arch) == expected


def test_integrity_notices_every_change() -> None:
    small = dataclasses.replace(parse(sample("valid/grub-simple")), os_release="ID=a\n", packages=())
    text = documents.sealed(small, 4608)
    assert len(text) == 4608
    assert parse(text, strict=True) == small
    assert documents.integrity_problem(text, required=True) is None
    for position in range(len(text)):
        for mask in (0x01, 0x20, 0x80):
            broken = bytearray(text)
            broken[position] ^= mask
            noticed = documents.integrity_problem(bytes(broken), required=True)
            assert noticed or not inspect(bytes(broken), strict=True).ok


def test_integrity_may_be_absent_where_nobody_promised_it() -> None:
    text = sample("valid/grub-simple")
    assert documents.integrity_problem(text, required=False) is None
    assert documents.integrity_problem(text, required=True) == "has lost its integrity field"


def test_reserved_space_too_small() -> None:
    with pytest.raises(FormatError, match="reserved"):
        documents.sealed(parse(sample("valid/grub-simple")), 100)


def test_samples_are_left_alone() -> None:
    document = base()
    before = copy.deepcopy(document)
    rules(document, strict=True)
    assert document == before
