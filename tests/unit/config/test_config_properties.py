"""What holds for whatever is written: layouts are sound or explained, and nothing but ConfigError is raised."""

from __future__ import annotations

import re
from typing import Any, Literal, get_args, get_origin

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from twinroot.config.checks import Rule, check
from twinroot.config.decode import decode
from twinroot.config.document import Source
from twinroot.config.image.config import ImageConfig
from twinroot.config.image.inject_files import InjectFilesConfig
from twinroot.config.image.layout import resolve_layout
from twinroot.config.image.packages import PackageList
from twinroot.config.image.rules import IMAGE_RULES
from twinroot.config.image.storage import Disk, Partition
from twinroot.config.section import Section
from twinroot.config.shape import inner_model, is_list
from twinroot.config.yaml import parse
from twinroot.errors import ConfigError, Problem
from twinroot.units import MIB


def part(start: int | None = None, end: int | None = None, *, size: int | None = None, grow: bool = False) -> Partition:
    """A partition; places are in MiB."""
    return Partition(
        start=None if start is None else start * MIB,
        end=None if end is None else end * MIB,
        size="grow" if grow else None if size is None else size * MIB,
    )


def disk(partitions: list[Partition], max_size: int | None) -> Disk:
    """A disk; its size is in MiB."""
    return Disk(partition_table_type="gpt", max_size=max_size and max_size * MIB, partitions=tuple(partitions))


@st.composite
def right_disks(draw: st.DrawFn) -> Disk:
    """Partitions in any mix of spellings that leave gaps and never overlap."""
    partitions = []
    place = 1
    for _ in range(draw(st.integers(0, 8))):
        gap = draw(st.integers(0, 3))
        size = draw(st.integers(1, 2**20))
        start = place + gap if gap or draw(st.booleans()) else None
        by_end = draw(st.booleans())
        place += gap + size
        partitions.append(part(start, place if by_end else None, size=None if by_end else size))
    max_size = draw(st.none() | st.integers(place + 2, place + 100)) if partitions else place + 2
    if max_size and draw(st.booleans()):
        partitions.append(part(grow=draw(st.booleans())))
    return disk(partitions, max_size)


@given(right_disks())
def test_right_layouts_are_what_was_described(described: Disk) -> None:
    layout, findings = resolve_layout(described, ())
    assert findings == []
    assert layout is not None
    for partition, given_ in zip(layout.partitions, described.partitions, strict=True):
        assert given_.start in (None, partition.start)
        assert given_.end in (None, partition.end)
        assert given_.size in (None, "grow", partition.size)


places = st.none() | st.integers(0, 12)
any_partition = st.builds(part, places, places, size=st.none() | st.integers(1, 12), grow=st.booleans())
any_disk = st.builds(disk, st.lists(any_partition, max_size=5), st.none() | st.integers(1, 40))


@given(right_disks() | any_disk)
def test_any_layout_is_either_sound_or_explained(described: Disk) -> None:
    layout, findings = resolve_layout(described, ())
    assert (layout is None) == bool(findings)
    if layout is None:
        return
    spans = sorted((partition.start, partition.end) for partition in layout.partitions)
    assert all(start % MIB == 0 and end % MIB == 0 for start, end in spans)
    assert all(end - start >= MIB for start, end in spans)
    ends = [MIB, *(end for _, end in spans)]
    assert all(end <= start for end, (start, _) in zip(ends, spans, strict=False))
    assert ends[-1] + MIB <= layout.disk_size
    assert layout.disk_size == (described.max_size or ends[-1] + MIB)
    assert [partition.number for partition in layout.partitions] == list(range(1, len(spans) + 1))


@given(st.text("x\r\n", max_size=12), st.integers(0, 12))
def test_lines_of_long_texts(middle: str, before: int) -> None:
    """Counts are kept for parts of the text, and a line break may lie across their border."""
    head = "x" * (64 * 1024 - before)
    source = Source("f.yaml", head + middle)
    for offset in range(len(head), len(source.text) + 1):
        lines = re.split(r"\r\n|\r|\n", source.text[:offset])
        assert source.line_of(offset) == (len(lines), offset - len(lines[-1]))


def problems_of(data: bytes, model: type[Section] = ImageConfig) -> list[Problem]:
    """All of loading that needs no other file. Every problem can be shown, and has a place in the text."""
    try:
        document = parse(data, "f.yaml")
    except ConfigError as error:
        return list(error.problems)
    decoded = decode(document, model)
    rules: tuple[Rule[Any], ...] = IMAGE_RULES if model is ImageConfig else ()
    problems = [*decoded.problems, *check(document, decoded.model, rules)]
    lines = data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for problem in problems:
        assert str(problem).startswith("f.yaml:")
        assert 1 <= problem.line <= len(lines)
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1
        assert problem.text in (None, lines[problem.line - 1])
    return problems


# A right configuration that uses every section.
WHOLE = """\
previewFeatures: [btrfs, uki, output-artifacts, base-configs, output-selinux-policy, kdump-boot-files,
  package-snapshot-time, input-image-oci, remove-package-manager, reinitialize-verity]
baseConfigs:
- path: base.yaml
input:
  image:
    oci: {uri: "example.com/a/b:1.0", platform: linux/amd64}
storage:
  bootType: efi
  disks:
  - partitionTableType: gpt
    maxSize: 20G
    partitions:
    - {id: esp, type: esp, start: 1M, end: 9M}
    - {id: boot, type: xbootldr, size: 512M, label: boot}
    - &big {id: root, type: root, size: 4G, label: root}
    - {<<: *big, id: hash, type: root-verity, label: hash, size: 100M}
    - {id: data, size: grow}
  verity:
  - id: rootverity
    name: root
    dataDeviceId: root
    hashDeviceId: hash
    dataDeviceMountIdType: part-label
    corruptionOption: panic
    hashSignaturePath: /boot/root.sig
  filesystems:
  - {deviceId: esp, type: fat32, mountPoint: {path: /boot/efi, options: umask=0077}}
  - {deviceId: boot, type: ext4, mountPoint: {path: /boot, idType: part-label}}
  - {deviceId: rootverity, type: ext4, mountPoint: {path: /, options: ro}}
  - deviceId: data
    type: btrfs
    btrfs:
      subvolumes:
      - {path: "@var", mountPoint: /var, quota: {referencedLimit: 2G}}
      - {path: "@var/log", mountPoint: {path: /var/log, options: noatime}}
os:
  bootloader: {resetType: hard-reset}
  hostname: a-b.example
  selinux: {mode: permissive}
  uki: {mode: create}
  imageHistory: none
  kernelCommandLine: {extraCommandLine: ["a b", console=ttyS0]}
  packages: {updateExistingPackages: yes, install: [vim], remove: [nano], snapshotTime: 2025-10-28}
  additionalFiles: [{source: a, destination: /a, permissions: 0644}, {content: "", destination: /b}]
  additionalDirs: [{source: a, destination: /c, childFilePermissions: 600}]
  groups: [{name: g, gid: 0x10}]
  users:
  - name: u
    uid: 1000
    password: {type: hashed, value: $6$x}
    sshPublicKeys: [ssh-ed25519 AAAA]
  services: {enable: [sshd], disable: [cron]}
  modules: [{name: nbd, loadMode: always, options: {max_part: 8}}]
  overlays: [{mountPoint: /etc, lowerDirs: [/etc], upperDir: /var/o/u, workDir: /var/o/w, isInitrdOverlay: no}]
scripts:
  postCustomization: [{path: a.sh, arguments: [x], environmentVariables: {A: b}, name: first}]
  finalizeCustomization:
  - content: |
      echo done
iso: {initramfsType: bootstrap, kdumpBootFiles: keep, additionalFiles: [{source: a, destination: a}]}
pxe: {bootstrapBaseUrl: "http://example.com/", kernelCommandLine: {extraCommandLine: [a]}}
output:
  image: {path: out.raw, format: raw, cosi: {compression: {level: 3}}}
  artifacts: {path: out, items: [ukis, shim]}
  selinuxPolicyPath: policy
"""


def test_the_configuration_that_is_damaged_below_is_right() -> None:
    assert problems_of(WHOLE.encode()) == []


JUNK = ["", "[", "]", "{", "}", "~", ": x", " &a", " *a", "\t", "- ", "é", "\x00", "𝄞", "\r", "\u2028", "<<: ", "? "]
JUNK += ["'", '"', "|", "!!map", "%", "---", "...", "#", "1M", "/", "''"]


@given(st.data())
def test_no_damage_to_lines_raises_anything_else(data: st.DataObject) -> None:
    lines = WHOLE.splitlines()
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        kept = data.draw(st.integers(0, len(lines[at])))
        way = data.draw(st.sampled_from(["cut", "insert", "delete", "twice", "indent", "swap"]))
        if way == "cut":
            lines[at] = lines[at][:kept] + data.draw(st.sampled_from(JUNK))
        elif way == "insert":
            lines[at] = lines[at][:kept] + data.draw(st.sampled_from(JUNK)) + lines[at][kept:]
        elif way == "delete" and len(lines) > 1:
            del lines[at]
        elif way == "twice":
            lines.insert(at, lines[at])
        elif way == "indent":
            lines[at] = data.draw(st.sampled_from(["", " ", "  ", "    ", "      "])) + lines[at].lstrip()
        else:
            lines[0], lines[at] = lines[at], lines[0]
    problems_of("\n".join(lines).encode())


@given(st.data())
def test_no_damage_to_bytes_raises_anything_else(data: st.DataObject) -> None:
    text = bytearray(WHOLE.encode())
    for _ in range(data.draw(st.integers(1, 6))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 40)))
        text[start:end] = data.draw(st.binary(max_size=4) | st.just(bytes(text[end : end + 40])))
    problems_of(bytes(text))


SCALARS = st.sampled_from(
    ["~", "''", "0", "-1", "1M", "4G", "grow", "efi", "esp", "gpt", "root", "a", "b", "/", "/usr", "/boot/efi", "ro",
     "fat32", "ext4", "btrfs", "yes", "part-label", "'é'", "755", "3.0", "2025-10-28", '"\\e"', "'" + "x" * 70 + "'"]
)  # fmt: skip
ANYTHING = SCALARS | st.sampled_from(["[]", "{}", "[a]", "{a: b}", "[[a]]", "[~]", "*x"])


def texts_of(annotation: Any) -> st.SearchStrategy[str]:
    """Flow text for a field: mostly of its shape, with values that are mostly right for it."""
    model = inner_model(annotation)
    names = sorted(literals(annotation))
    value = texts_of_model(model) if model else st.sampled_from(names) if names else SCALARS
    if is_list(annotation):
        value = st.lists(value, max_size=3).map(lambda items: f"[{', '.join(items)}]")
    return st.one_of(value, value, value, ANYTHING)


def texts_of_model(model: type[BaseModel]) -> st.SearchStrategy[str]:
    """Flow text for an object: some of its keys, seldom another one."""
    fields = {field.alias or name: texts_of(field.annotation) for name, field in model.model_fields.items()}
    required = {field.alias or name for name, field in model.model_fields.items() if field.is_required()}
    optional = {key: text for key, text in fields.items() if key not in required}
    always = st.fixed_dictionaries({key: fields[key] for key in required}, optional=optional | {"other": ANYTHING})
    return always.map(lambda items: "{" + ", ".join(f"{key}: {text}" for key, text in items.items()) + "}")


def literals(annotation: Any) -> set[str]:
    """The words of the enumerations in a type."""
    if get_origin(annotation) is Literal:
        return set(get_args(annotation))
    return {name for part in get_args(annotation) for name in literals(part)}


@pytest.mark.parametrize("model", [ImageConfig, InjectFilesConfig, PackageList])
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_no_structure_of_known_keys_raises_anything_else(model: type[Section], data: st.DataObject) -> None:
    text = data.draw(texts_of_model(model))
    for damage in data.draw(st.lists(st.integers(0, max(len(text) - 1, 0)), max_size=2)):
        text = text[:damage] + data.draw(st.sampled_from(JUNK)) + text[damage:]
    problems_of(text.encode(), model)
