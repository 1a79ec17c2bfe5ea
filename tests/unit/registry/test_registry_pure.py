"""What is decided about registries without talking to one: references, platforms, titles, waiting, policies."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from twinroot.config.registry_reference import Reference, azure_linux_reference, parse_reference
from twinroot.errors import FormatError, InputError
from twinroot.registry import retry
from twinroot.registry.manifest import (
    OCI_INDEX,
    OCI_MANIFEST,
    TITLE,
    Descriptor,
    Index,
    Manifest,
    Platform,
    candidates,
    host_platform,
    parse_document,
    parse_platform,
    shown_platforms,
)
from twinroot.registry.push import index_document
from twinroot.registry.session import is_loopback
from twinroot.registry.titles import file_names

SHA = "sha256:" + "a" * 64
BLOB = {"mediaType": "a/b", "digest": SHA, "size": 1}


@pytest.mark.parametrize(
    ("text", "expected", "selector"),
    [
        ("localhost/a", Reference("localhost", "a"), "latest"),
        ("h:5000/a.b/c_d:v1", Reference("h:5000", "a.b/c_d", "v1"), "v1"),
        (f"h/my.team/img@{SHA}", Reference("h", "my.team/img", None, SHA), SHA),
        (f"h/a:t@{SHA}", Reference("h", "a", "t", SHA), SHA),
        ("[::1]:5000/a", Reference("[::1]:5000", "a"), "latest"),
    ],
)
def test_references(text: str, expected: Reference, selector: str) -> None:
    found = parse_reference(text)
    assert found == expected
    assert found.selector == selector
    assert str(found) == text


@pytest.mark.parametrize("text", ["", "a", "h/", "h/A", "h/a:", "h/a@sha256:1", "h/a b", "h//a", "http://h/a", "h/a\n"])
def test_what_is_no_reference(text: str) -> None:
    assert parse_reference(text) is None


def test_azure_linux_references() -> None:
    assert str(azure_linux_reference("a", "3.0")) == "mcr.microsoft.com/azurelinux/3.0/image/a:latest"
    assert str(azure_linux_reference("a", "3.0.20250910")) == "mcr.microsoft.com/azurelinux/3.0/image/a:3.0.20250910"


@pytest.mark.parametrize(
    "title", ["../../etc/passwd", "/etc/passwd", "a/../../b", "..", ".", "a//b", "a/", "a\nb", "a\0", "x" * 240, ""]
)
def test_titles_that_lead_elsewhere(title: str) -> None:
    with pytest.raises(FormatError, match="the artifact names a file"):
        file_names([Descriptor("", SHA, 1, {TITLE: title})])


def test_titles_that_collide() -> None:
    other = SHA.replace("a", "b", 1).replace("shb", "sha")[:7] + "b" * 64
    with pytest.raises(FormatError, match="two files"):
        file_names([Descriptor("", SHA, 1, {TITLE: "a"}), Descriptor("", other, 1, {TITLE: "a"})])
    with pytest.raises(FormatError, match="a file and a directory"):
        file_names([Descriptor("", SHA, 1, {TITLE: "a"}), Descriptor("", other, 1, {TITLE: "a/b"})])
    assert list(file_names([Descriptor("", SHA, 1), Descriptor("", SHA, 1, {TITLE: "..a/b..c"})])) == ["..a/b..c"]


BROKEN: list[Any] = [
    [],
    {"mediaType": OCI_MANIFEST},
    {"mediaType": OCI_MANIFEST, "config": BLOB, "layers": {}},
    {"mediaType": OCI_MANIFEST, "config": BLOB, "layers": [BLOB] * 1001},
    {"mediaType": OCI_MANIFEST, "config": {**BLOB, "size": -1}, "layers": []},
    {"mediaType": OCI_MANIFEST, "config": {**BLOB, "size": True}, "layers": []},
    {"mediaType": OCI_MANIFEST, "config": {**BLOB, "digest": "md5:1"}, "layers": []},
    {"mediaType": OCI_MANIFEST, "config": {**BLOB, "digest": "sha256:../../x"}, "layers": []},
    {"mediaType": OCI_MANIFEST, "config": {**BLOB, "annotations": {"a": 1}}, "layers": []},
    {"mediaType": OCI_INDEX, "manifests": [None]},
    {"mediaType": "text/html"},
    {"mediaType": ["x"]},
]


@pytest.mark.parametrize("document", BROKEN)
def test_broken_documents(document: Any) -> None:
    with pytest.raises(FormatError):
        parse_document(json.dumps(document).encode(), "application/json")


def test_documents() -> None:
    manifest = parse_document(json.dumps({"config": BLOB, "layers": [BLOB]}).encode(), "")
    assert isinstance(manifest, Manifest)
    assert manifest.layers[0].as_json() == BLOB
    index = parse_document(json.dumps({"manifests": [BLOB]}).encode(), OCI_INDEX)
    assert isinstance(index, Index)
    with pytest.raises(FormatError):
        parse_document(b"[" * 100_000, OCI_INDEX)


def entry(platform: str | None, media_type: str = OCI_MANIFEST) -> Descriptor:
    return Descriptor(media_type, SHA, 1, platform=parse_platform(platform) if platform else None)


def test_choosing_from_an_index() -> None:
    amd, arm7, arm8 = entry("linux/amd64"), entry("linux/arm/v7"), entry("linux/arm/v8")
    nested, unknown = entry(None, OCI_INDEX), entry("unknown/unknown")
    index = Index((nested, unknown, amd, arm7, arm8))
    assert candidates(index, Platform("linux", "amd64")) == (amd, nested)
    assert candidates(index, Platform("linux", "arm", "v8")) == (arm8, nested)
    assert candidates(index, Platform("linux", "arm")) == (arm7, arm8, nested)
    assert candidates(index, Platform("windows", "amd64")) == (nested,)
    assert candidates(Index((entry(None),)), Platform("linux", "amd64")) == (entry(None),)
    assert candidates(Index((entry(None), entry(None))), Platform("linux", "amd64")) == ()
    assert shown_platforms(index.entries) == "linux/amd64, linux/arm/v7, linux/arm/v8"


def test_an_index_keeps_what_it_does_not_know() -> None:
    windows = {**BLOB, "platform": {"os": "windows", "architecture": "amd64", "os.version": "10"}, "x": 1}
    before = {"mediaType": OCI_INDEX, "manifests": [entry("linux/amd64").as_json(), windows], "y": 2}
    after = index_document(before, entry("linux/amd64"))
    assert after == {"mediaType": OCI_INDEX, "manifests": [windows, entry("linux/amd64").as_json()], "y": 2}


def test_platforms() -> None:
    assert parse_platform("linux") == Platform("linux", host_platform().architecture)
    for text in ("", "/", "a/b/c/d", "linux/"):
        with pytest.raises(InputError):
            parse_platform(text)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("3", 3.0), (None, None), ("", None), ("soon", None), ("-1", None),
        ("Wed, 21 Oct 2026 07:28:10 GMT", 10.0), ("Wed, 21 Oct 2020 07:28:10 GMT", 0.0),
    ],
)  # fmt: skip
def test_how_long_a_registry_asks_to_wait(header: str | None, seconds: float | None) -> None:
    assert retry.asked_to_wait(header, datetime(2026, 10, 21, 7, 28, tzinfo=UTC)) == seconds


def test_pauses_grow_and_are_bounded() -> None:
    pauses = [retry.backoff(attempt) for attempt in range(1, 12)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (0.25, 15.0)


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("localhost:5000", True), ("127.0.0.1", True), ("127.9.9.9:1", True), ("[::1]:5000", True),
        ("localhost.example.com", False), ("10.0.0.1", False), ("127.0.0.1.example.com", False),
    ],
)  # fmt: skip
def test_loopback(host: str, here: bool) -> None:
    assert is_loopback(host) is here
