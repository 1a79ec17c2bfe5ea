"""What a customisation is asked to do: the command line over the configuration, refused before any work."""

from __future__ import annotations

from pathlib import Path

import pytest

from twinroot.builder.request import Options, resolve_request
from twinroot.config.image.not_built import NOT_BUILT
from twinroot.config.load import load_image_config
from twinroot.errors import ConfigError, InputError

VERITY = "{id: v, name: usr, dataDevice: {idType: part-label, id: a}, hashDevice: {idType: part-label, id: b}}"
UNBUILT = {
    "input.image.oci": "input: {image: {oci: example.com/a:1}}",
    "input.image.azureLinux": "input: {image: {azureLinux: {variant: a, version: 3.0}}}",
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


def resolve(directory: Path, text: str, **options: object) -> None:
    (directory / "c.yaml").write_text(text)
    given: dict[str, object] = {"image_file": directory / "base.raw", "output_file": directory / "o.raw"}
    given |= {"output_format": "raw"} | options
    resolve_request(load_image_config(directory / "c.yaml"), Options(build_dir=directory, **given))  # type: ignore[arg-type]


def test_the_table_of_this_test_is_complete() -> None:
    assert sorted(UNBUILT) == sorted(pattern.path for pattern in NOT_BUILT)


@pytest.mark.parametrize("key", UNBUILT)
def test_what_is_not_built_is_valid_and_refused_by_name_when_it_is_run(tmp_path: Path, key: str) -> None:
    overriding = {"image_file": None} if key.startswith("input") else {}
    overriding |= {"output_format": None} if key == "output.image.format" else {}
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
        UNBUILT["input.image.oci"],
        UNBUILT["output.image.format"],
    ],
)
def test_what_does_not_count_for_this_run_is_accepted(tmp_path: Path, text: str) -> None:
    resolve(tmp_path, FEATURES + text)


def test_the_command_lines_format_counts_for_removing_the_package_manager(tmp_path: Path) -> None:
    text = FEATURES + "os: {packages: {removePackageManager: true}}\noutput: {image: {format: raw}}"
    with pytest.raises(ConfigError, match="this is not possible with the output format cosi"):
        resolve(tmp_path, text, output_format="cosi")


def test_missing_resources_are_found_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"os\.additionalDirs\[0\]\.source: there is no such directory"):
        resolve(tmp_path, "os: {additionalDirs: [{source: absent, destination: /a}]}")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_file": None}, "no base image is given"),
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
