"""What the files of a chain come to together, and what stays a matter of each file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest

from twinroot.config.image.packages import PackageChanges
from twinroot.config.image.preview_features import PreviewFeature
from twinroot.config.load import LoadedConfig, load_image_config
from twinroot.config.problems import KeyPath
from twinroot.errors import ConfigError
from twinroot.units import MIB

ALL_FEATURES = list(get_args(PreviewFeature))

Chain = Callable[..., LoadedConfig]


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    """Write files `0/config.yaml`, `1/config.yaml` …, each upon the one before, and load the last of them."""

    def load(*files: dict[str, Any]) -> LoadedConfig:
        for number, content in enumerate(files):
            path = tmp_path / f"{number}/config.yaml"
            path.parent.mkdir(exist_ok=True)
            bases = {"baseConfigs": [{"path": f"../{number - 1}/config.yaml"}]} if number else {}
            path.write_text(json.dumps({"previewFeatures": ALL_FEATURES} | bases | content))
        return load_image_config(tmp_path / f"{len(files) - 1}/config.yaml")

    return load


def nested(key: str, value: object) -> dict[str, Any]:
    """`a.b` and a value as `{"a": {"b": value}}`; without a value nothing."""
    for step in reversed(key.split(".")):
        value = {step: value}
    return value if isinstance(value, dict) else {}


def at(config: Any, key: str) -> Any:
    """The value at a key as JSON has it; None where there is none."""
    found = config.model_dump(mode="json", by_alias=True, exclude_unset=True)
    for step in key.split("."):
        found = found.get(step) if isinstance(found, dict) else None
    return found


ABSENT = object()
OCI = {"uri": "registry.example/images/core:1"}
AZURE = {"variant": "minimal-os", "version": "3.0"}
OVERLAY_A = {"mountPoint": "/srv", "lowerDirs": ["/srv"], "upperDir": "/o/u", "workDir": "/o/w"}
OVERLAY_B = {"mountPoint": "/opt", "lowerDirs": ["/opt"], "upperDir": "/p/u", "workDir": "/p/w"}
FILE_A, FILE_B = ({"destination": f"/{name}", "content": name} for name in "ab")

MEDIA: list[tuple[str, list[object], object]] = [
    # keys that `iso` and `pxe` have in common, as in MERGED
    ("kernelCommandLine.extraCommandLine", [["a"], ["b", "a"]], ["a", "b", "a"]),
    ("additionalFiles", [[FILE_A], [FILE_B]], [FILE_A, FILE_B]),
    ("initramfsType", ["bootstrap", "full-os"], "full-os"),
    ("initramfsType", ["bootstrap", ""], "bootstrap"),
    ("kdumpBootFiles", ["keep", "none"], "none"),
    ("kdumpBootFiles", ["keep", None], "keep"),
]
MERGED: list[tuple[str, list[object], object]] = [
    # key, its value in each file, what they come to
    ("input.image", [{"path": "a.raw"}, {"path": "b.raw"}], {"path": "b.raw"}),
    ("input.image", [{"path": "a.raw"}, ABSENT], {"path": "a.raw"}),
    ("input.image", [{"path": "a.raw"}, {"oci": OCI["uri"]}], {"oci": OCI}),
    ("input.image", [{"oci": OCI}, {"azureLinux": AZURE}], {"azureLinux": AZURE}),
    ("input.image", [{"azureLinux": AZURE}, {"path": "b.raw"}], {"path": "b.raw"}),
    ("input.image", [{"oci": OCI | {"platform": "linux/arm64"}}, {"oci": OCI}], {"oci": OCI}),
    ("input.image", [{"oci": OCI}, {}], {"oci": OCI}),
    ("input.image", [{"oci": OCI}, None], {"oci": OCI}),
    ("input.image", [{"oci": OCI}, {"path": "", "azureLinux": None}], {"oci": OCI}),
    ("input.image", [{"path": "a.raw"}, {"oci": OCI}, {}], {"oci": OCI}),
    ("output.image.path", ["a.raw", "b.raw"], "b.raw"),
    ("output.image.path", ["a.raw", ""], "a.raw"),
    ("output.image.path", ["a.raw", None], "a.raw"),
    ("output.image.format", ["raw", "vhdx"], "vhdx"),
    ("output.image.format", ["raw", ""], "raw"),
    ("output.image", [{"path": "a.raw"}, {"format": "raw"}], {"path": "a.raw", "format": "raw"}),
    ("output.image.cosi.compression.level", [3, 19], 19),
    ("output.image.cosi.compression.level", [3, None], 3),
    ("output.artifacts", [{"path": "a", "items": ["shim", "ukis"]}, {"path": "b", "items": ["bootloader", "shim"]}],
     {"path": "b", "items": ["shim", "ukis", "bootloader"]}),
    ("output.artifacts", [{"path": "a", "items": ["shim"]}, ABSENT], {"path": "a", "items": ["shim"]}),
    ("output.selinuxPolicyPath", ["a", "b"], "b"),
    ("output.selinuxPolicyPath", ["a", ""], "a"),
    ("previewFeatures", [["uki", "btrfs", "base-configs"], ["create", "base-configs", "uki"]],
     ["uki", "btrfs", "base-configs", "create"]),
    ("storage.reinitializeVerity", ["all", ABSENT], "all"),
    ("storage.reinitializeVerity", [ABSENT, "none", ""], "none"),
    ("os", [{}, None], {}),
    ("os", [None, {}], {}),
    ("os", [ABSENT, None], None),
    ("os.hostname", ["a", "b"], "b"),
    ("os.hostname", ["a", ""], "a"),
    ("os.hostname", ["a", None, ABSENT], "a"),
    ("os.imageHistory", ["none", ""], "none"),
    ("os.imageHistory", [ABSENT, "none"], "none"),
    ("os.selinux", [{"mode": "enforcing"}, {"mode": "disabled"}], {"mode": "disabled"}),
    ("os.selinux", [{"mode": "enforcing"}, {}], {"mode": "enforcing"}),
    ("os.selinux", [{"mode": "enforcing"}, {"mode": ""}, ABSENT], {"mode": "enforcing"}),
    ("os.uki", [{"mode": "passthrough"}, {"mode": "create"}], {"mode": "create"}),
    ("os.uki", [{"mode": "passthrough"}, {}], {}),
    ("os.uki", [{"mode": "passthrough"}, None], {"mode": "passthrough"}),
    ("os.bootloader.resetType", ["hard-reset", ""], "hard-reset"),
    ("os.bootloader.resetType", ["", "hard-reset"], "hard-reset"),
    ("os.bootloader.resetType", ["hard-reset", None], "hard-reset"),
    ("os.kernelCommandLine.extraCommandLine", [["a", "b"], ["a"], ["c"]], ["a", "b", "a", "c"]),
    ("os.kernelCommandLine.extraCommandLine", [["a"], []], ["a"]),
    ("os.kernelCommandLine.extraCommandLine", [None, ["a"]], ["a"]),
    ("os.packages.removePackageManager", [True, False], False),
    ("os.packages.removePackageManager", [False, True], True),
    ("os.packages.removePackageManager", [False, ABSENT], False),
    ("os.packages.updateExistingPackages", [True, False], True),
    ("os.packages.updateExistingPackages", [False, True], True),
    ("os.overlays", [[], ABSENT], []),
    ("os.overlays", [[OVERLAY_A], []], [OVERLAY_A]),
    *[(f"{media}.{key}", values, result) for media in ("iso", "pxe") for key, values, result in MEDIA],
    ("pxe.bootstrapBaseUrl", ["http://a/", "http://b/"], "http://b/"),
    ("pxe.bootstrapFileUrl", ["http://a/a", ""], "http://a/a"),
]  # fmt: skip


@pytest.mark.parametrize(("key", "values", "expected"), MERGED)
def test_merged_value(chain: Chain, key: str, values: list[object], expected: object) -> None:
    loaded = chain(*[{} if value is ABSENT else nested(key, value) for value in values])
    assert at(loaded.config, key) == expected
    assert at(loaded.config, "baseConfigs") is None


PER_FILE: list[tuple[str, list[dict[str, Any]], list[dict[str, Any]]]] = [
    # key, its value in the base, in the file upon it; neither is looked at for repetitions
    ("os.groups", [{"name": "one"}, {"name": "both", "gid": 5}], [{"name": "both"}]),
    ("os.users", [{"name": "one", "uid": 5}], [{"name": "one", "secondaryGroups": ["wheel"]}]),
    ("os.additionalDirs", [{"source": "d", "destination": "/"}], [{"source": "d", "destination": "/"}]),
    ("os.additionalFiles", [FILE_A], [FILE_B, FILE_A]),
    ("os.modules", [{"name": "vfio", "loadMode": "always"}], [{"name": "vfio", "loadMode": "disable"}]),
    ("os.overlays", [OVERLAY_A], [OVERLAY_B, OVERLAY_A]),
    ("scripts.postCustomization", [{"content": "a"}], [{"path": "b.sh"}, {"content": "a"}]),
    ("scripts.finalizeCustomization", [{"path": "a.sh", "name": "a"}], [{"path": "a.sh", "name": "a"}]),
]


@pytest.mark.parametrize(("key", "base", "top"), PER_FILE)
def test_value_of_each_file(chain: Chain, key: str, base: list[object], top: list[object]) -> None:
    loaded = chain(nested(key, base), nested(key, top))
    assert [at(file.config, key) for file in loaded.files] == [base, top]
    assert at(loaded.config, key) == base + top


def test_services_of_each_file(chain: Chain) -> None:
    base, top = {"enable": ["a"], "disable": ["b"]}, {"enable": ["b"], "disable": ["a", "c"]}
    loaded = chain(nested("os.services", base), nested("os.services", top))
    assert [at(file.config, "os.services") for file in loaded.files] == [base, top]
    assert at(loaded.config, "os.services") == {"enable": ["a", "b"], "disable": ["b", "a", "c"]}


def test_packages_of_each_file(tmp_path: Path, chain: Chain) -> None:
    for path, name in (("0/l.yaml", "base-list"), ("1/l.yaml", "top-list"), ("shared.yaml", "shared")):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(f"packages: [{name}]\n")
    base = {"installLists": ["l.yaml", "../shared.yaml"], "install": ["a"], "updateExistingPackages": True}
    top = {"installLists": ["l.yaml"], "removeLists": [str(tmp_path / "shared.yaml")], "update": ["a"]}
    loaded = chain(nested("os.packages", base), nested("os.packages", top))
    assert [file.packages for file in loaded.files] == [
        PackageChanges(update_existing=True, install=("base-list", "shared", "a")),
        PackageChanges(install=("top-list",), remove=("shared",), update=("a",)),
    ]


def test_the_snapshot_time_of_each_file(chain: Chain) -> None:
    times = ["2025-03-01", None, "2025-04-01T12:00:00Z"]
    loaded = chain(*[nested("os.packages.snapshotTime", time) for time in times])
    found = [at(file.config, "os.packages.snapshotTime") for file in loaded.files]
    assert found == ["2025-03-01T00:00:00Z", None, "2025-04-01T12:00:00Z"]


PARTITIONS = [{"id": "esp", "type": "esp", "size": "64M"}, {"id": "root", "size": "900M"}]
FILESYSTEMS = [
    {"deviceId": "esp", "type": "fat32", "mountPoint": "/boot/efi"},
    {"deviceId": "root", "type": "ext4", "mountPoint": "/"},
]
DISKS = [{"partitionTableType": "gpt", "partitions": PARTITIONS}]
LAYOUT = {
    "storage": {"bootType": "efi", "disks": DISKS, "filesystems": FILESYSTEMS},
    "os": {"bootloader": {"resetType": "hard-reset"}},
}


@pytest.mark.parametrize("files", [[LAYOUT, {}], [{}, LAYOUT], [{}, LAYOUT, {"storage": {"disks": []}}]])
def test_the_layout_may_be_in_any_one_file(chain: Chain, files: list[dict[str, Any]]) -> None:
    loaded = chain(*files)
    assert loaded.layout is not None
    assert loaded.layout.disk_size == 966 * MIB
    assert len(loaded.config.storage.filesystems) == 2


PATHS: list[tuple[KeyPath, list[dict[str, Any]], str | None]] = [
    # key, files, the path that it holds below the folder that has them all
    (("input", "image", "path"), [nested("input.image.path", "a.raw"), {}], "0/a.raw"),
    (("input", "image", "path"), [nested("input.image.path", "a.raw"), nested("input.image.path", "b.raw")], "1/b.raw"),
    (("input", "image", "path"), [nested("input.image.path", "a.raw"), nested("input.image", {})], "0/a.raw"),
    (("input", "image", "path"), [nested("input.image.path", "a.raw"), nested("input.image.oci", OCI)], None),
    (("input", "image", "path"), [{}, {}], None),
    (("output", "image", "path"), [nested("output.image.path", "../out/a.raw"), {}, {}], "0/../out/a.raw"),
    (("output", "image", "path"), [nested("output.image.path", "a"), nested("output.image.path", "")], "0/a"),
    (("output", "selinuxPolicyPath"), [{}, nested("output.selinuxPolicyPath", "b"), {}], "1/b"),
    (
        ("output", "artifacts", "path"),
        [nested("output.artifacts", {"path": name, "items": ["shim"]}) for name in "ab"],
        "1/b",
    ),
    (
        ("iso", "additionalFiles", 0, "source"),
        [nested("iso.additionalFiles", [{"source": name, "destination": "/x"}]) for name in "ab"],
        "0/a",
    ),
    (
        ("pxe", "additionalFiles", 1, "source"),
        [nested("pxe.additionalFiles", [{"source": name, "destination": "/x"}]) for name in "ab"],
        "1/b",
    ),
    (
        ("scripts", "postCustomization", 1, "path"),
        [nested("scripts.postCustomization", [{"path": name}]) for name in ("a.sh", "b.sh")],
        "1/b.sh",
    ),
]


@pytest.mark.parametrize(("key", "files", "expected"), PATHS)
def test_paths_are_relative_to_the_file_that_has_them(
    tmp_path: Path, chain: Chain, key: KeyPath, files: list[dict[str, Any]], expected: str | None
) -> None:
    found = chain(*files).resolve(key)
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert found.resolve() == (tmp_path / expected).resolve()


def test_absolute_paths_stay_as_they_are(chain: Chain) -> None:
    loaded = chain(nested("input.image.path", "/images/core.raw"), {})
    assert loaded.resolve(("input", "image", "path")) == Path("/images/core.raw")
    assert [file.resolve("/keys/a.pub") for file in loaded.files] == [Path("/keys/a.pub")] * 2


def test_paths_of_one_file_are_relative_to_it(tmp_path: Path, chain: Chain) -> None:
    found = [file.resolve("files/a").resolve() for file in chain({}, {}).files]
    assert found == [tmp_path / "0/files/a", tmp_path / "1/files/a"]


def test_paths_of_a_base_behind_a_link_are_relative_to_the_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/base.yaml").write_text("input: {image: {path: core.raw}}\n")
    (tmp_path / "link.yaml").symlink_to("real/base.yaml")
    top = tmp_path / "top.yaml"
    top.write_text("previewFeatures: [base-configs]\nbaseConfigs: [{path: link.yaml}]\n")
    assert load_image_config(top).resolve(("input", "image", "path")) == tmp_path / "core.raw"


KEPT = nested("os.uki", {"mode": "passthrough"})
WITH_OVERLAY = nested("os.overlays", [OVERLAY_A])
REMOVED = nested("os.packages.removePackageManager", True)
TOGETHER = ", taking all files of the chain together"

TOGETHER_WRONG: list[tuple[list[dict[str, Any]], list[tuple[int, str, str]]]] = [
    # files; number of the file, key and message of each problem
    ([KEPT, WITH_OVERLAY], [(1, "os.overlays", "this is not possible with uki mode passthrough")]),
    ([WITH_OVERLAY, KEPT], [(0, "os.overlays", "this is not possible with uki mode passthrough")]),
    (
        [WITH_OVERLAY, nested("os", {"uki": {"mode": "modify"}, "overlays": []})],
        [(0, "os.overlays", "this is not possible with uki mode modify")],
    ),
    (
        [nested("os.selinux.mode", "disabled"), KEPT, nested("os.bootloader.resetType", "hard-reset")],
        [
            (0, "os.selinux.mode", "this is not possible with uki mode passthrough"),
            (2, "os.bootloader.resetType", "this is not possible with uki mode passthrough"),
        ],
    ),
    (
        [nested("storage.reinitializeVerity", "all"), KEPT],
        [(0, "storage.reinitializeVerity", "this is not possible with uki mode passthrough")],
    ),
    ([KEPT, WITH_OVERLAY, nested("os.uki", {"mode": "create"})], []),
    *[
        (
            [REMOVED, nested("output.image.format", name)],
            [(0, "os.packages.removePackageManager", f"this is not possible with the output format {name}")],
        )
        for name in ("iso", "pxe-dir", "pxe-tar", "cosi", "baremetal-image")
    ],
    ([nested("output.image.format", "cosi"), nested("os.packages.removePackageManager", False)], []),
    ([REMOVED, nested("output.image.format", "vhdx")], []),
    (
        [nested("pxe.bootstrapBaseUrl", "http://a/"), nested("pxe.bootstrapFileUrl", "http://a/b")],
        [(1, "pxe.bootstrapFileUrl", "'bootstrapBaseUrl' and 'bootstrapFileUrl' may not be given together")],
    ),
    (
        [nested("pxe.bootstrapBaseUrl", "http://a/"), nested("pxe.initramfsType", "full-os")],
        [(0, "pxe.bootstrapBaseUrl", "this key is not allowed with initramfsType full-os")],
    ),
    # the same module or overlay may stand in several files
    ([WITH_OVERLAY, WITH_OVERLAY], []),
    ([nested("os.modules", [{"name": "vfio"}])] * 2, []),
]


@pytest.mark.parametrize(("files", "expected"), TOGETHER_WRONG)
def test_what_no_file_breaks_by_itself(
    tmp_path: Path, chain: Chain, files: list[dict[str, Any]], expected: list[tuple[int, str, str]]
) -> None:
    if not expected:
        assert len(chain(*files).files) == len(files)
        return
    with pytest.raises(ConfigError) as caught:
        chain(*files)
    found = {(Path(p.file).resolve(), p.key, p.message) for p in caught.value.problems}
    assert found == {(tmp_path / f"{n}/config.yaml", key, message + TOGETHER) for n, key, message in expected}


BAD_NAME = nested("os.hostname", "a_b")
HOSTNAME = ("os.hostname", "'a_b' is not a host name")
UKI_MODE = ("os.uki.mode", "'keep' is not allowed here: use create, passthrough or modify")
NOT_WITH_UKI = "this is not possible with uki mode passthrough"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([WITH_OVERLAY, BAD_NAME, KEPT], [("os.overlays", f"{NOT_WITH_UKI}{TOGETHER}"), HOSTNAME]),
        ([nested("os", KEPT["os"] | WITH_OVERLAY["os"]), BAD_NAME], [("os.overlays", NOT_WITH_UKI), HOSTNAME]),
        ([WITH_OVERLAY, nested("os.uki.mode", "keep"), BAD_NAME], [UKI_MODE, HOSTNAME]),
        ([WITH_OVERLAY, nested("os.uki.mode", "keep"), KEPT], [("os.overlays", f"{NOT_WITH_UKI}{TOGETHER}"), UKI_MODE]),
        (
            [nested("os.modules", [{"name": "a"}]), nested("os.modules", [{"name": "b"}] * 2)],
            [("os.modules[1].name", "the module 'b' is already described in modules[0]")],
        ),
    ],
)
def test_rules_of_the_chain_are_told_beside_mistakes_of_its_files(
    chain: Chain, files: list[dict[str, Any]], expected: list[tuple[str, str]]
) -> None:
    with pytest.raises(ConfigError) as caught:
        chain(*files)
    assert sorted((problem.key, problem.message) for problem in caught.value.problems) == sorted(expected)


def test_of_a_chain_with_a_file_that_cannot_be_read_only_its_files_are_judged(chain: Chain, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        chain(KEPT, {"baseConfigs": [{"path": "../0/config.yaml"}, {"path": "absent.yaml"}]} | WITH_OVERLAY)
    assert [problem.key for problem in caught.value.problems] == ["baseConfigs[1].path"]
