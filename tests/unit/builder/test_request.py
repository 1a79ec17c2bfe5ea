"""What a customisation is asked to do: the command line over the configuration, refused before any work."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from twinroot.builder.options import Options
from twinroot.builder.request import CustomizeRequest, resolve_request
from twinroot.config.image.not_built import NOT_BUILT
from twinroot.config.load import load_image_config, read_image_config
from twinroot.errors import ConfigError, InputError, UsageError
from twinroot.registry.source import RegistryImage

VERITY = "{id: v, name: usr, dataDevice: {idType: part-label, id: a}, hashDevice: {idType: part-label, id: b}}"
UNBUILT = {
    "output.image.format": "output: {image: {format: iso}}",
    "output.artifacts": "output: {artifacts: {path: a, items: [shim]}}",
    "output.selinuxPolicyPath": "output: {selinuxPolicyPath: a}",
    "storage.verity": f"storage: {{verity: [{VERITY}]}}",
    "storage.reinitializeVerity": "storage: {reinitializeVerity: all}",
    "os.uki": "os: {uki: {mode: create}}",
}  # fmt: skip
FEATURES = (
    "previewFeatures: [uki, output-artifacts, package-snapshot-time, reinitialize-verity, input-image-oci, "
    "output-selinux-policy, btrfs, remove-package-manager]\n"
)


def resolve(directory: Path, text: str, **options: object) -> CustomizeRequest:
    (directory / "c.yaml").write_text(text)
    given: dict[str, object] = {"image_file": directory / "base.raw", "output_file": directory / "o.raw"}
    given |= {"output_format": "raw"} | options
    return resolve_request(load_image_config(directory / "c.yaml"), Options(build_dir=directory, **given))  # type: ignore[arg-type]


def test_the_snapshot_time_of_the_command_line_counts_for_every_file(tmp_path: Path) -> None:
    text = "os: {packages: {install: [jq], snapshotTime: 2024-01-01}}"
    request = resolve(tmp_path, FEATURES + text, snapshot_time="2025-02-03")
    changes = request.packages(request.config.files[0])
    assert changes.snapshot_time == datetime(2025, 2, 3, tzinfo=UTC) and changes.install == ("jq",)
    before = resolve(tmp_path, FEATURES + text)
    assert before.packages(before.config.files[0]).snapshot_time == datetime(2024, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "time", "said"),
    [
        ("os: {hostname: x}", "2025-02-03", "needs the preview feature 'package-snapshot-time'"),
        (FEATURES + "os: {hostname: x}", "yesterday", "'yesterday' is not a point in time"),
    ],
)
def test_wrong_snapshot_times_of_the_command_line(tmp_path: Path, text: str, time: str, said: str) -> None:
    with pytest.raises(InputError, match="--package-snapshot-time") as caught:
        resolve(tmp_path, text, snapshot_time=time)
    assert said in str(caught.value)


def test_the_table_of_this_test_is_complete() -> None:
    assert sorted(UNBUILT) == sorted(pattern.path for pattern in NOT_BUILT)


@pytest.mark.parametrize("key", UNBUILT)
def test_what_is_not_built_is_valid_and_refused_by_name_when_it_is_run(tmp_path: Path, key: str) -> None:
    overriding = {"output_format": None} if key == "output.image.format" else {}
    with pytest.raises(ConfigError) as caught:
        resolve(tmp_path, FEATURES + UNBUILT[key], **overriding)
    (problem,) = caught.value.problems
    assert problem.key.replace("[1]", "[]") == key
    assert problem.message.endswith("not built yet in this version of twinroot")
    assert problem.line > 1


@pytest.mark.parametrize(
    "text",
    [
        "iso: {}",
        "pxe: {initramfsType: full-os}",
        "os: {imageHistory: none}",
        "os: {overlays: []}",
        "input: {image: {oci: example.com/a:1}}",
        UNBUILT["output.image.format"],
    ],
)
def test_what_does_not_count_for_this_run_is_accepted(tmp_path: Path, text: str) -> None:
    assert resolve(tmp_path, FEATURES + text).output_format == "raw"


def test_the_command_lines_format_counts_for_removing_the_package_manager(tmp_path: Path) -> None:
    text = FEATURES + "os: {packages: {removePackageManager: true}}\noutput: {image: {format: raw}}"
    with pytest.raises(ConfigError, match="this is not possible with the output format cosi"):
        resolve(tmp_path, text, output_format="cosi")


def test_the_command_lines_format_counts_for_the_size_of_the_disk(tmp_path: Path) -> None:
    text = (
        "storage: {bootType: efi, disks: [{partitionTableType: gpt, maxSize: 3T, partitions: [{id: e, type: esp, "
        "size: 8M}, {id: r, size: grow}]}], filesystems: [{deviceId: e, type: fat32, mountPoint: /boot/efi}, "
        "{deviceId: r, type: ext4, mountPoint: /}]}\nos: {bootloader: {resetType: hard-reset}}"
    )
    with pytest.raises(ConfigError, match=r"storage\.disks\[0\]\.maxSize: the disk has 3 TiB; .* at most 2040 GiB"):
        resolve(tmp_path, text, output_format="vhd")
    assert resolve(tmp_path, text, output_format="raw").config.layout


@pytest.mark.parametrize("name", [".", "scratch", "scratch/kept"])
def test_a_cache_that_would_wait_for_the_build_directory_or_go_with_it(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="may not share a directory"):
        resolve(tmp_path, "{}", cache_dir=tmp_path / name)
    with pytest.raises(UsageError, match="may not share a directory"):
        resolve(tmp_path, "{}", image_cache=tmp_path / name)
    assert resolve(tmp_path, "{}", cache_dir=tmp_path / "kept", image_cache=tmp_path / "images").cache_dir


def test_missing_resources_are_found_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"os\.additionalDirs\[0\]\.source: there is no such directory"):
        resolve(tmp_path, "os: {additionalDirs: [{source: absent, destination: /a}]}")


def test_mistakes_and_what_stands_in_the_way_of_the_run_are_told_together(tmp_path: Path) -> None:
    text = (
        "previewFeatures: [uki, output-artifacts, remove-package-manager]\n"
        "os:\n"
        "  hostnam: x\n"
        "  uki: {mode: create}\n"
        "  additionalFiles: [{source: absent, destination: /a}]\n"
        "  packages: {removePackageManager: true}\n"
        "output: {image: {format: cosi}}\n"
        "scripts: {postCustomization: [{path: absent.sh}]}\n"
    )
    (tmp_path / "c.yaml").write_text(text)
    options = Options(tmp_path, image_file=tmp_path / "base.raw", output_file=tmp_path / "o", output_format="cosi")
    with pytest.raises(ConfigError) as caught:
        resolve_request(read_image_config(tmp_path / "c.yaml"), options)
    assert [(problem.line, problem.key) for problem in caught.value.problems] == [
        (3, "os.hostnam"),
        (4, "os.uki"),
        (5, "os.additionalFiles[0].source"),
        (6, "os.packages.removePackageManager"),
        (8, "scripts.postCustomization[0].path"),
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_file": None}, "no base image is given"),
        ({"image": "oci:example.com/a"}, "--image-file and --image may not be given together"),
        ({"image_file": None, "image": "oci:example.com/a"}, "--image needs the preview feature 'input-image-oci'"),
        ({"image_file": None, "image": "oci:A"}, "'A' is not a registry reference"),
        ({"image_file": None, "image": "azurelinux:minimal-os"}, "this names no image"),
        ({"image_file": None, "image": "azurelinux:minimal-os:three"}, "'three' is not a version of Azure Linux"),
        ({"output_file": None}, "no output is given"),
        ({"output_format": None}, "no output format is given"),
        ({"output_format": "iso"}, "output format 'iso' is not built yet"),
        ({"output_format": "tar"}, "output format 'tar' is not known"),
        ({"compression_level": 0}, "a level from 1 to 22 is wanted"),
    ],
)
def test_what_the_command_line_lacks(tmp_path: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        resolve(tmp_path, "{}", **options)


@pytest.mark.parametrize(("name", "start"), [("a.cosi", b"x"), ("base.raw", b"cosi-marker\0"), ("a b", b"cosi-marker")])
def test_a_cosi_file_is_no_base_image(tmp_path: Path, name: str, start: bytes) -> None:
    (tmp_path / name).write_bytes(start)
    with pytest.raises(InputError, match="the base image is a COSI file, and a disk image is wanted") as caught:
        resolve(tmp_path, "{}", image_file=tmp_path / name)
    assert caught.value.where == str(tmp_path / name)
    assert caught.value.hint is not None and caught.value.hint.startswith("make one of it: twinroot convert ")
    with pytest.raises(InputError, match="the base image is a COSI file"):
        resolve(tmp_path, f"input: {{image: {{path: '{name}'}}}}", image_file=None)


REGISTRY_BASES = [
    ("input: {image: {oci: example.com/a:1}}", None, "example.com/a:1", None, False),
    ("input: {image: {oci: {uri: example.com/a, platform: linux/arm64}}}", None, "example.com/a", "linux/arm64", False),
    (
        "input: {image: {azureLinux: {variant: minimal-os, version: 3.0}}}", None,
        "mcr.microsoft.com/azurelinux/3.0/image/minimal-os:latest", None, True,
    ),
    ("os: {}", "oci:example.com/a:1", "example.com/a:1", None, False),
    (
        "input: {image: {path: a.vhdx}}", "azurelinux:minimal-os:3.0.20250910",
        "mcr.microsoft.com/azurelinux/3.0/image/minimal-os:3.0.20250910", None, True,
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "image", "reference", "platform", "azure"), REGISTRY_BASES)
def test_base_images_in_registries(
    tmp_path: Path, text: str, image: str | None, reference: str, platform: str | None, azure: bool
) -> None:
    (tmp_path / "c.yaml").write_text(FEATURES + text)
    config = load_image_config(tmp_path / "c.yaml")
    options = {"build_dir": tmp_path, "image": image, "output_file": tmp_path / "o.raw", "output_format": "raw"}
    with pytest.raises(InputError, match="needs a directory to be kept in"):
        resolve_request(config, Options(**options))  # type: ignore[arg-type]
    base = resolve_request(config, Options(**options, image_cache=tmp_path / "cache")).base  # type: ignore[arg-type]
    assert isinstance(base, RegistryImage)
    assert (str(base.reference), base.azure_linux) == (reference, azure)
    assert str(base.platform) == str(platform)


@pytest.mark.parametrize("name", ["base.raw", "c.yaml", "link", "under.yaml"])
def test_an_input_is_not_written_over(tmp_path: Path, name: str) -> None:
    (tmp_path / "base.raw").write_bytes(b"base")
    (tmp_path / "under.yaml").write_text("os: {}\n")
    (tmp_path / "link").symlink_to("base.raw")
    with pytest.raises(InputError, match="one of the input files"):
        resolve(
            tmp_path,
            "baseConfigs: [{path: under.yaml}]\npreviewFeatures: [base-configs]\n",
            output_file=tmp_path / name,
        )
