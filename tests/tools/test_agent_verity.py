"""What surrounds verity devices of a new system. That they open, read and close is tested in a machine (`tests/vm`)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.isolated import isolated

from twinroot.agent.errors import ServicingError
from twinroot.agent.storage.deploy_plan import VerityOpen
from twinroot.agent.storage.verity import opened_verity
from twinroot.tools.block_devices import opened_verity_names

_OVERLAY = """
import os
from twinroot.agent.errors import ServicingError
from twinroot.agent.storage.etc_overlay import overlaid_etc
from twinroot.sandbox.mounts import Mounts
place = Path(sys.argv[1])
with Mounts() as mounts:
    kept = mounts.tmpfs(place / "kept", "mode=755")
    for path in ("upper", "work"):
        (kept / "lib/trident-overlay/etc" / path).mkdir(parents=True)
    (kept / "lib/trident-overlay/etc/upper/stale").touch()
    root = mounts.bind(place / "root", place / "newroot", read_only=True)
    mounts.bind(kept, root / "var")
    (place / "root/etc").chmod(0o751)
    with overlaid_etc(root):
        (root / "etc/fstab").write_text("new")
        (root / "etc/deep").mkdir()
        (root / "etc/deep/file").write_text("new")
        found = {"inside": sorted(os.listdir(root / "etc")), "mode": oct((root / "etc").stat().st_mode)}
        try:
            (root / "file").touch()
        except OSError as error:
            found["root"] = error.strerror
    upper = kept / "lib/trident-overlay/etc/upper"
    found["after"] = (root / "etc/fstab").read_text()
    found["kept"] = {str(each.relative_to(upper)): each.read_text() for each in upper.rglob("*") if each.is_file()}
    found["volatile"] = [str(each) for each in (kept / "lib/trident-overlay/etc/work").rglob("*volatile*")]
    mounts.tmpfs(place / "newroot/var", "ro")
    try:
        with overlaid_etc(root):
            pass
    except ServicingError as error:
        found["error"] = [error.name, error.message]
print(json.dumps(found))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_what_changes_in_etc_is_where_the_booted_system_looks(tmp_path: Path) -> None:
    for name in ("etc", "var"):
        (tmp_path / "root" / name).mkdir(parents=True)
    (tmp_path / "newroot").mkdir()
    (tmp_path / "root/etc/fstab").write_text("old")
    (tmp_path / "root/etc/passwd").touch()
    found = isolated(_OVERLAY, tmp_path)
    assert found["inside"] == ["deep", "fstab", "passwd"] and found["mode"] == "0o40751"
    assert found["root"] == "Read-only file system"
    assert found["after"] == "old"
    assert found["kept"] == {"fstab": "new", "deep/file": "new"}
    assert found["volatile"] == []
    assert found["error"][0] == "mount-overlay" and "/etc of the new system" in found["error"][1]


def test_which_verity_devices_are_open(tmp_path: Path) -> None:
    for number, (name, uuid) in enumerate((("root", "CRYPT-VERITY-1-root"), ("root_new", "CRYPT-LUKS2-2-root_new"))):
        (tmp_path / f"dm-{number}/dm").mkdir(parents=True)
        (tmp_path / f"dm-{number}/dm/name").write_text(f"{name}\n")
        (tmp_path / f"dm-{number}/dm/uuid").write_text(f"{uuid}\n")
    (tmp_path / "sda").mkdir()
    assert list(opened_verity_names(tmp_path)) == ["root"]
    assert list(opened_verity_names(tmp_path / "none")) == []


def test_hashes_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(bytes(8192))
    (tmp_path / "hashes").write_bytes(bytes(8192))
    device = VerityOpen("root_new", tmp_path / "data", tmp_path / "hashes", "ab" * 32)
    with pytest.raises(ServicingError, match="cannot be opened with the hashes on") as caught, opened_verity((device,)):
        pass
    assert caught.value.name == "create-verity" and caught.value.hint == "build the image anew"
