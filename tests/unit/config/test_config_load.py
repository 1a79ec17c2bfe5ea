from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from twinroot.config.checks import check as check_values
from twinroot.config.decode import decode
from twinroot.config.image.config import ImageConfig
from twinroot.config.image.packages import PackageChanges
from twinroot.config.image.rules import IMAGE_RULES
from twinroot.config.load import load_image_config
from twinroot.config.shape import fields_at
from twinroot.config.yaml import parse
from twinroot.errors import ConfigError
from twinroot.units import GIB, MIB

WHOLE = """\
input:
  image:
    path: base/core.vhdx
storage:
  bootType: efi
  disks:
    - partitionTableType: gpt
      maxSize: 10G
      partitions:
        - id: esp
          type: esp
          size: 8M
        - id: root-a
          size: 4G
        - id: root-b
          size: 4G
        - id: state
          size: grow
          label: state
  filesystems:
    - deviceId: esp
      type: fat32
      mountPoint:
        path: /boot/efi
        options: umask=0077
    - deviceId: root-a
      type: ext4
      mountPoint: /
    - deviceId: state
      type: ext4
      mountPoint:
        path: /var/lib/state
        idType: part-label
os:
  bootloader:
    resetType: hard-reset
  hostname: testimage
  kernelCommandLine:
    extraCommandLine:
      - rd.info
      - log_buf_len=1M
  packages:
    updateExistingPackages: yes
    installLists: [lists/base.yaml, lists/more.yaml]
    install:
      - vim
      - base
    remove:
      - grub2-efi-binary
  services:
    enable:
      - sshd
    disable: [console-getty]
previewFeatures: [output-artifacts]
output:
  image:
    path: out/image.cosi
    format: cosi
    cosi: {compression: {level: 15}}
"""


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    path = tmp_path / "image.yaml"
    path.write_text(WHOLE)
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/base.yaml").write_text("packages:\n- base\n- openssh-server\n")
    (tmp_path / "lists/more.yaml").write_text("packages: [3.0]\n")
    return path


def test_everything_together(whole: Path) -> None:
    loaded = load_image_config(whole)
    config = loaded.config
    assert config.os is not None
    assert config.os.hostname == "testimage"
    assert config.os.bootloader.reset_type == "hard-reset"
    assert config.os.kernel_command_line.extra_command_line == ("rd.info", "log_buf_len=1M")
    assert config.os.services.enable == ("sshd",)
    assert config.os.services.disable == ("console-getty",)
    assert loaded.files[0].packages == PackageChanges(
        update_existing=True,
        install=("base", "openssh-server", "3.0", "vim", "base"),
        remove=("grub2-efi-binary",),
    )
    assert config.preview_features == ("output-artifacts",)
    assert config.output.image.format == "cosi"
    assert config.output.image.cosi.compression.level == 15
    assert loaded.resolve(("input", "image", "path")) == whole.parent / "base/core.vhdx"
    assert loaded.resolve(("input", "image", "oci")) is None
    assert loaded.files[0].resolve("/absolute") == Path("/absolute")
    esp, root, state = config.storage.filesystems
    assert (esp.is_fat, esp.mount_point and esp.mount_point.options) == (True, "umask=0077")
    assert (root.is_fat, root.mount_point and root.mount_point.path) == (False, "/")
    assert state.mount_point is not None
    assert state.mount_point.id_type == "part-label"
    assert loaded.layout is not None
    assert loaded.layout.disk_size == 10 * GIB
    last = loaded.layout.by_id("state")
    assert (last.number, last.label, last.start, last.end) == (4, "state", 8 * GIB + 9 * MIB, 10 * GIB - MIB)


@pytest.mark.parametrize(
    ("text", "present"), [("{}", False), ("os:", False), ("os: {}", True), ("os: {services: }", True)]
)
def test_whether_os_is_present(tmp_path: Path, text: str, present: bool) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    loaded = load_image_config(path)
    assert (loaded.config.os is not None) == present
    assert loaded.layout is None
    assert loaded.files[0].packages == PackageChanges()


@pytest.mark.parametrize(
    ("content", "where", "message"),
    [
        (None, "image.yaml:{line}:{column}", "package list {}: there is no such file"),
        (b"", "image.yaml:{line}:{column}", "package list {}: the file is empty"),
        (b"packages:\n- a\n- ''\n", "lists/more.yaml:3:3", "the value may not be empty"),
        (b"package: [a]\n", "lists/more.yaml:1:1", "unknown key 'package'"),
        (b"- a\n", "lists/more.yaml:1:1", "expected a mapping"),
        (b"packages: [a\n", "lists/more.yaml:2:1", "this is not valid YAML"),
        (b"packages: [\xff]\n", "lists/more.yaml:1:12", "the file is not UTF-8"),
    ],
)
def test_package_lists_with_mistakes(whole: Path, content: bytes | None, where: str, message: str) -> None:
    broken = whole.parent / "lists/more.yaml"
    broken.unlink()
    if content is not None:
        broken.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_image_config(whole)
    (problem,) = caught.value.problems
    named = WHOLE.index("lists/more.yaml")
    line, column = WHOLE.count("\n", 0, named) + 1, named - WHOLE.rindex("\n", 0, named)
    assert problem.where == f"{whole.parent}/{where.format(line=line, column=column)}"
    assert problem.message.startswith(message.format(broken))


def test_mistakes_of_both_kinds_of_file_are_reported_together(whole: Path) -> None:
    whole.write_text(WHOLE.replace("testimage", "test_image"))
    (whole.parent / "lists/more.yaml").write_text("packages: [[]]\n")
    (whole.parent / "lists/base.yaml").write_text("packages: 5\n")
    with pytest.raises(ConfigError) as caught:
        load_image_config(whole)
    assert [(Path(problem.file).name, problem.key) for problem in caught.value.problems] == [
        ("image.yaml", "os.hostname"),
        ("base.yaml", "packages"),
        ("more.yaml", "packages[0]"),
    ]


def test_the_printed_error_names_file_line_column_and_key(whole: Path) -> None:
    whole.write_text(WHOLE.replace("size: 8M", "size: 8MB"))
    with pytest.raises(ConfigError) as caught:
        load_image_config(whole)
    assert str(caught.value) == (
        f"{whole}:12:17: storage.disks[0].partitions[0].size: '8MB' is not a size "
        "(write digits and one of K, M, G, T, for example 512M or 4G, or grow)"
    )


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.yaml: there is no such file"):
        load_image_config(tmp_path / "absent.yaml")


def keys_of(schema: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    objects = [schema, *schema.get("$defs", {}).values()]
    objects += [part for each in objects for part in each.get("anyOf", ())]
    return [pair for each in objects for pair in each.get("properties", {}).items()]


def test_the_models_export_a_schema_with_a_description_for_every_key() -> None:
    schema = ImageConfig.model_json_schema()
    Draft202012Validator.check_schema(schema)
    keys = keys_of(schema)
    assert {"bootType", "extraCommandLine", "idType", "installLists"} <= {key for key, _ in keys}
    assert [key for key, value in keys if "description" not in value] == []


@pytest.mark.parametrize(
    ("config", "right"),
    [
        ({"storage": {"filesystems": [{"deviceId": "a", "mountPoint": "/"}]}}, True),
        ({"storage": {"filesystems": [{"deviceId": "a", "mountPoint": {"path": "/", "idType": "uuid"}}]}}, True),
        ({"storage": {"filesystems": [{"deviceId": "a", "mountPoint": {"paths": "/"}}]}}, False),
        ({"storage": {"disks": [{"partitionTableType": "gpt", "maxSize": "4G"}]}}, True),
        ({"storage": {"disks": [{"partitionTableType": "gpt", "maxSize": "4"}]}}, False),
        ({"os": {"packages": {"updateExistingPackages": True}}}, True),
        ({"output": {"image": {"cosi": {"compression": {"level": 23}}}}}, False),
    ],
)
def test_the_schema_judges_as_the_loader_does(config: dict[str, Any], right: bool) -> None:
    assert Draft202012Validator(ImageConfig.model_json_schema()).is_valid(config) == right


def test_fields_with_their_descriptions() -> None:
    fields = fields_at(ImageConfig, ("storage", "disks", 0, "partitions", 3))
    assert list(fields) == ["id", "label", "start", "end", "size", "type"]
    assert fields["start"].startswith("First byte.")
    assert fields_at(ImageConfig, ("storage", "bootType")) == {}
    assert fields_at(ImageConfig, ("absent", "x")) == {}


KEYS = sorted({key for key, _ in keys_of(ImageConfig.model_json_schema())})
SCALARS = st.sampled_from(
    [
        "~",
        "1M",
        "4G",
        "grow",
        "efi",
        "esp",
        "gpt",
        "root",
        "/",
        "/boot/efi",
        "fat32",
        "ext4",
        "yes",
        "part-label",
        "'é'",
    ]
)
NODES = st.recursive(
    SCALARS,
    lambda below: (
        st.lists(below, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.dictionaries(st.sampled_from(KEYS), below, max_size=4).map(
            lambda items: "{" + ", ".join(f"{key}: {value}" for key, value in items.items()) + "}"
        )
    ),
    max_leaves=25,
)


def check(data: bytes) -> None:
    """All of loading that needs no file; every problem must have a place in the text."""
    try:
        document = parse(data, "f.yaml")
    except ConfigError:
        return
    decoded = decode(document, ImageConfig)
    for problem in [*decoded.problems, *check_values(document, decoded.model, IMAGE_RULES)]:
        assert problem.line >= 1
        assert str(problem).startswith("f.yaml:")


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(NODES)
def test_no_structure_raises_anything_else(text: str) -> None:
    check(text.encode())


@given(st.data())
def test_no_damage_to_a_right_configuration_raises_anything_else(data: st.DataObject) -> None:
    lines = WHOLE.splitlines()
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        old = lines[at]
        keep = data.draw(st.integers(0, len(old)))
        lines[at] = old[:keep] + data.draw(
            st.sampled_from(["", "[", "{", "~", ": x", " &a", " *a", "\t", "- ", "é", "\x00"])
        )
    check("\n".join(lines).encode())
