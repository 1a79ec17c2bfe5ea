"""Base images from registries: the cache, its limit, its use without a network, and whole customisations."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.images import Finished, command
from tests.registry.servers import Registry, Request, Scripted, digest_of, docker_registry
from twinroot.config.registry_reference import parse_reference
from twinroot.errors import InputError, NetworkError
from twinroot.events import silent
from twinroot.registry.access import Access, Fetching
from twinroot.registry.cache import Cache, locked
from twinroot.registry.cached_image import cached_image
from twinroot.registry.source import RegistryImage

KIB = 1024
FEATURE = "previewFeatures: [input-image-oci]\n"


def image(registry: Registry | Scripted, name: str) -> RegistryImage:
    reference = parse_reference(f"{registry.host}/{name}")
    assert reference
    return RegistryImage(reference)


def fetch(where: Path, wanted: RegistryImage, limit: int = 1 << 30) -> bytes:
    with cached_image(wanted, Fetching(where, limit, Access()), silent) as path:
        assert path.is_relative_to(where)
        return path.read_bytes()


def blobs(registry: Scripted) -> int:
    return sum("/blobs/" in path for _, path in registry.requests)


def test_an_image_is_fetched_once_and_lies_where_image_customizer_looks(scripted: Scripted, tmp_path: Path) -> None:
    found = scripted.put("a", "1", {"image.vhdx": b"disk", "image.vhdx.sbom": b"list"})
    assert fetch(tmp_path / "cache", image(scripted, "a:1")) == b"disk"
    assert fetch(tmp_path / "cache", image(scripted, "a:1")) == b"disk"
    assert blobs(scripted) == 1
    algorithm, name = found["digest"].split(":")
    assert (tmp_path / "cache/digests" / algorithm / name / "image.vhdx").read_bytes() == b"disk"


def test_a_tag_that_moved_is_noticed(scripted: Scripted, tmp_path: Path) -> None:
    for data in (b"old", b"new"):
        scripted.put("a", "1", {"image.raw": data})
        assert fetch(tmp_path / "cache", image(scripted, "a:1")) == data


def test_what_is_cached_serves_without_a_network(tmp_path: Path) -> None:
    with Scripted().running() as registry:
        registry.put("a", "1", {"image.raw": b"disk"})
        wanted, other = image(registry, "a:1"), image(registry, "a:2")
        fetch(tmp_path / "cache", wanted)
    assert fetch(tmp_path / "cache", wanted) == b"disk"
    with pytest.raises(NetworkError, match="Connection refused"):
        fetch(tmp_path / "cache", other)


def spoil_file(entry: Path) -> None:
    (entry / "image.raw").write_bytes(b"evil")


def spoil_manifest(entry: Path) -> None:
    raw = json.loads((entry / "manifest.json").read_text())
    raw["layers"][0]["digest"] = digest_of(b"evil")
    (entry / "manifest.json").write_text(json.dumps(raw))
    spoil_file(entry)


def remove_manifest(entry: Path) -> None:
    (entry / "manifest.json").unlink()


def replace_by_link(entry: Path) -> None:
    (entry / "image.raw").rename(entry / "other")
    (entry / "image.raw").symlink_to("other")


@pytest.mark.parametrize("spoil", [spoil_file, spoil_manifest, remove_manifest, replace_by_link])
def test_a_damaged_cache_is_repaired(scripted: Scripted, tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    found = scripted.put("a", "1", {"image.raw": b"disk"})
    fetch(tmp_path / "cache", image(scripted, "a:1"))
    spoil(tmp_path / "cache/digests/sha256" / found["digest"][7:])
    assert fetch(tmp_path / "cache", image(scripted, "a:1")) == b"disk"
    assert blobs(scripted) == 2


def test_the_least_recently_used_go_first_and_never_what_is_in_use(scripted: Scripted, tmp_path: Path) -> None:
    names = ["a", "b", "c", "d"]
    size = 400 * KIB
    digests = {}
    for name in names:
        digests[name] = scripted.put(name, "1", {"image.raw": os.urandom(size)})["digest"]
    cache = tmp_path / "cache"
    for age, name in enumerate(names[:3]):
        fetch(cache, image(scripted, f"{name}:1"))
        os.utime(cache / "digests/sha256" / digests[name][7:], (1000 + age, 1000 + age))
    fetch(cache, image(scripted, "a:1"))  # now b is the one that was not used for longest
    with locked(Cache(cache, 0), digests["b"], exclusive=False):
        fetch(cache, image(scripted, "d:1"), limit=3 * size + 200 * KIB)
    there = {name for name in names if (cache / "digests/sha256" / digests[name][7:]).exists()}
    assert there == {"a", "b", "d"}
    with pytest.raises(InputError, match="raise --image-cache-size"):
        fetch(cache, image(scripted, "c:1"), limit=size - 1)


def test_two_runs_fetch_an_image_once(scripted: Scripted, tmp_path: Path) -> None:
    data = os.urandom(300 * KIB)
    scripted.put("a", "1", {"image.raw": data})
    both = threading.Barrier(2)

    def waits(request: Request) -> bool:
        if request.path.endswith("/manifests/1"):
            both.wait(20)
        return False

    scripted.answer = waits
    results: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: results.append(fetch(tmp_path / "cache", image(scripted, "a:1"))))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [data, data]
    assert blobs(scripted) == 1


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.txt": b""}, "the artifact has no disk image, one is wanted"),
        ({"a.raw": b"a", "b.vhdx": b"b"}, r"the artifact has 2 disk images \(a.raw, b.vhdx\), one is wanted"),
    ],
)
def test_an_artifact_holds_one_disk_image(
    scripted: Scripted, tmp_path: Path, files: dict[str, bytes], message: str
) -> None:
    scripted.put("a", "1", files)
    with pytest.raises(InputError, match=message):
        fetch(tmp_path / "cache", image(scripted, "a:1"))


def test_a_cache_that_is_a_file(scripted: Scripted, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    with pytest.raises(InputError, match="--image-cache-dir cannot be used"):
        fetch(tmp_path / "cache", image(scripted, "a:1"))


def customize(tmp_path: Path, config: str, *extra: object) -> Finished:
    (tmp_path / "c.yaml").write_text(config)
    return command(
        "imagecustomizer", "--build-dir", tmp_path / "build", "--config-file", tmp_path / "c.yaml",
        "--output-image-file", tmp_path / "out.raw", "--output-image-format", "raw",
        "--image-cache-dir", tmp_path / "cache", *extra,
    )  # fmt: skip


def test_customising_an_image_of_a_registry(tmp_path: Path, small: Path) -> None:
    config = FEATURE + "os: {hostname: changed}\n"
    (tmp_path / "registry").mkdir()
    with docker_registry(tmp_path / "registry") as registry:
        registry.put_artifact("base", "1", {"image.raw": small.read_bytes()})
        done = customize(tmp_path, config, "--image", f"oci:{registry.host}/base:1")
        assert done.code == 0, done.stderr
        (tmp_path / "out.raw").unlink()
        reference = f"{registry.host}/base:1"
    # The same by the configuration, and without the registry.
    done = customize(tmp_path, f"{config}input: {{image: {{oci: '{reference}'}}}}\n")
    assert done.code == 0, done.stderr
    assert "using what is in the cache" in done.stderr
    assert (tmp_path / "out.raw").exists()
    assert list((tmp_path / "cache/partial").iterdir()) == []


def test_validating_what_lies_in_a_registry(plain: Registry, tmp_path: Path) -> None:
    plain.put_artifact("valid", "1", {"image.raw": b"x"})
    for name, code, message in (("valid:1", 0, "Config validation succeeded"), ("valid:2", 1, "not found")):
        path = tmp_path / "c.yaml"
        path.write_text(f"{FEATURE}input:\n  image:\n    oci: {plain.host}/{name}\n")
        arguments = ["--config-file", path, "--validate-resources", "oci", "--build-dir", tmp_path]
        done = command("imagecustomizer", "validate-config", *arguments)
        assert done.code == code
        assert message in done.stderr
    assert "c.yaml:4:10: input.image.oci:" in done.stderr
