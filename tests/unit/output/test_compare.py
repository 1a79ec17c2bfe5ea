"""What counts as a difference between packages and between files."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from uuid import UUID

import pytest

from twinroot.distro.packages import InstalledPackage
from twinroot.formats.cosi import model
from twinroot.output.compare import MODIFIED, file_differences, metadata_differences, package_differences
from twinroot.output.contents import ByteDifference, Content
from twinroot.output.difference import (
    Field,
    FileDifference,
    ImageDifference,
    PackageDifference,
    PartitionDifference,
    as_json,
)
from twinroot.output.listing import Entry
from twinroot.units import LINUX_GENERIC, MIB

IMAGE, HASHES = (model.ImageFile(f"images/{name}.zst", 10, MIB, "ab" * 48) for name in ("root", "hashes"))


def data(text: bytes) -> Content:
    return Content(len(text), lambda: iter([(0, text)]))


FILE = Entry("/f", "file", 0o644, 0, 0, 1, times={"modified": 1}, content=data(b"abc"))
LINK = Entry("/f", "link", 0o777, 0, 0, target="a")
CASES: list[tuple[Entry, Entry, tuple[str, ...], tuple[Field, ...] | None]] = [
    (FILE, FILE, (), None),
    (FILE, replace(FILE, times={"modified": 2}), (), None),
    (FILE, replace(FILE, times={"modified": 2}), MODIFIED, (Field("modified (ns)", 1, 2),)),
    (FILE, replace(FILE, mode=0o4755), (), (Field("mode", "0644", "4755"),)),
    (FILE, replace(FILE, gid=5), (), (Field("owner", "0:0", "0:5"),)),
    (FILE, replace(FILE, links=2), (), (Field("hard links", 1, 2),)),
    (FILE, replace(FILE, attributes={"user.a": b"\1"}), (), (Field("attribute user.a", None, "01"),)),
    (FILE, replace(FILE, content=data(b"abcd")), (), (Field("size", 3, 4),)),
    (FILE, replace(FILE, content=data(b"abd")), (), ()),
    (LINK, replace(LINK, target="b\udc80"), (), (Field("target", "a", "b\\x80"),)),
    (Entry("/f", "character device", device="1:3"), Entry("/f", "character device", device="1:5"), (),
     (Field("device", "1:3", "1:5"),)),
    (Entry("/f", "pipe"), Entry("/f", "socket"), (), (Field("type", "pipe", "socket"),)),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "times", "fields"), CASES)
def test_changed_entry(old: Entry, new: Entry, times: tuple[str, ...], fields: tuple[Field, ...] | None) -> None:
    found = list(file_differences({"/f": old}, {"/f": new}, times))
    if fields is None:
        assert found == []
    else:
        assert [(each.path, each.change, each.fields) for each in found] == [("/f", "changed", fields)]


def test_content_has_place_and_hashes() -> None:
    (found,) = file_differences({"/f": FILE}, {"/f": replace(FILE, content=data(b"aXc"))})
    assert found.at == ByteDifference(1, b"bc", b"Xc")
    assert found.sha256 == tuple(hashlib.sha256(text).hexdigest() for text in (b"abc", b"aXc"))


def test_added_and_removed_in_the_order_of_directories() -> None:
    old = {"/a": replace(FILE, path="/a"), "/d": Entry("/d", "directory", 0o755, 0, 0)}
    new = {"/d": old["/d"], "/d-x": replace(FILE, path="/d-x"), "/d/e": replace(FILE, path="/d/e")}
    found = list(file_differences(old, new))
    assert [(each.path, each.change) for each in found] == [("/a", "removed"), ("/d/e", "added"), ("/d-x", "added")]
    assert Field("size", None, 3) in found[1].fields
    assert found[0].sha256 == (hashlib.sha256(b"abc").hexdigest(), None)


def test_packages() -> None:
    def package(name: str, version: str, release: str = "1", arch: str = "x86_64") -> InstalledPackage:
        return InstalledPackage(name, version, release, arch)

    before = [package("a", "1"), package("b", "1"), package("k", "1"), package("k", "2"), package("s", "1")]
    after = [package("b", "2", "", "amd64"), package("c", "1"), package("k", "2"), package("k", "3"), package("s", "1")]
    assert package_differences(before, after) == (
        PackageDifference("a", "1-1.x86_64", None),
        PackageDifference("b", "1-1.x86_64", "2.amd64"),
        PackageDifference("c", None, "1-1.x86_64"),
        PackageDifference("k", "1-1.x86_64 2-1.x86_64", "2-1.x86_64 3-1.x86_64"),
    )


SAID = model.Metadata(
    (1, 2),
    "x86_64",
    "ID=a\nVERSION_ID=1\n",
    (model.Filesystem(IMAGE, "/", "ext4", "u1", LINUX_GENERIC, model.Verity(HASHES, "ab" * 32)),),
    model.Disk(4 * MIB, "gpt", 512, (model.Region(IMAGE, "partition", 2), model.Region(HASHES, "partition", 3))),
    (model.Package("bash", "5", "1", "x86_64"),),
    model.Bootloader("grub"),
    UUID(int=1),
    21,
)
FILESYSTEM = SAID.images[0]
ENTRY = model.BootEntry("config", "/e", "quiet", "6.1")


@pytest.mark.parametrize(
    ("after", "name", "values"),
    [
        (replace(SAID, os_arch="arm64"), "architecture", ("x86_64", "arm64")),
        (replace(SAID, os_release="ID=a\nVERSION_ID=2\n"), "os-release VERSION_ID", ("1", "2")),
        (replace(SAID, images=(replace(FILESYSTEM, mount_point="/x"),)), "partition 2 mount point", ("/", "/x")),
        (
            replace(SAID, images=(replace(FILESYSTEM, verity=model.Verity(HASHES, "cd" * 32)),)),
            "partition 2 root hash",
            ("ab" * 32, "cd" * 32),
        ),
        (replace(SAID, bootloader=model.Bootloader("systemd-boot")), "boot loader", ("grub", "systemd-boot")),
        (replace(SAID, bootloader=model.Bootloader("grub", (ENTRY,))), "boot entry 1", (None, "config /e 6.1 quiet")),
        (replace(SAID, packages=()), "package bash", ("5-1.x86_64", None)),
    ],
)
def test_metadata(after: model.Metadata, name: str, values: tuple[str | None, str | None]) -> None:
    """Of COSI files whose partitions are the same."""
    assert metadata_differences(SAID, after, ()) == (Field(name, *values),)
    assert metadata_differences(SAID, after, [Field("told of the disk", *values)]) == ()
    assert metadata_differences(SAID, None, ()) == ()


def test_how_a_file_is_made_does_not_count_in_its_metadata() -> None:
    assert metadata_differences(SAID, replace(SAID, version=(1, 3), id=UUID(int=2), max_window_log=27), ()) == ()


def test_json_of_any_bytes() -> None:
    file = FileDifference("/\udcff", "changed", "file", (), ByteDifference(3, b"\0", b"\xff"), ("a", "b"))
    found = ImageDifference("A", "B", partitions=(PartitionDifference(2, "/", "changed", (), (file,)),))
    shown = json.loads(json.dumps(as_json(found)))
    assert shown["equal"] is False
    assert shown["partitions"][0]["files"][0] == {
        "path": "/\\xff", "change": "changed", "kind": "file", "fields": [],
        "bytes": {"offset": 3, "before": "00", "after": "ff"}, "sha256": {"before": "a", "after": "b"},
    }  # fmt: skip
    assert as_json(ImageDifference("A", "B"))["equal"] is True
