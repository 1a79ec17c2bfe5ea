"""`twinroot pull` against a real registry, and against one that does what real ones do on bad days."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.images import Finished, command
from tests.registry.servers import (
    CuttingProxy,
    Registry,
    Request,
    Scripted,
    digest_of,
    for_platform,
    index,
)
from twinroot.config.registry_reference import Reference
from twinroot.errors import TwinrootError
from twinroot.events import silent
from twinroot.registry.access import Access
from twinroot.registry.client import Client
from twinroot.registry.manifest import host_platform
from twinroot.registry.pull import files_of
from twinroot.registry.pull import pull as fetch_files
from twinroot.registry.resolve import resolve

MIB = 1 << 20


def pull(reference: str, directory: Path, *extra: object, env: dict[str, str] | None = None) -> Finished:
    directory.mkdir(exist_ok=True)
    return command("main", "pull", reference, "-o", directory, *extra, env=env)


def in_time(scripted: Scripted) -> list[str]:
    return [path for _, path in scripted.requests]


def test_files_of_an_artifact_arrive_under_their_names(plain: Registry, tmp_path: Path) -> None:
    files = {"image.vhdx": os.urandom(3 * MIB), "notes/read me.txt": b"hello", "empty": b""}
    plain.put_artifact("team/images", "1.0", files)
    done = pull(f"{plain.host}/team/images:1.0", tmp_path / "out")
    assert done.code == 0, done.stderr
    assert {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()} == set(
        files
    )
    assert all((tmp_path / "out" / name).read_bytes() == data for name, data in files.items())
    assert done.stdout.splitlines() == [str(tmp_path / "out" / name) for name in files]
    again = pull(f"{plain.host}/team/images:1.0", tmp_path / "out")
    assert "image.vhdx is there already" in again.stderr


def test_a_digest_names_a_manifest(plain: Registry, tmp_path: Path) -> None:
    found = plain.put_artifact("a", None, {"f": b"one"})
    done = pull(f"{plain.host}/a@{found['digest']}", tmp_path / "out")
    assert done.code == 0, done.stderr
    assert (tmp_path / "out/f").read_bytes() == b"one"


def test_an_index_of_three_levels_is_followed_by_platform(plain: Registry, tmp_path: Path) -> None:
    here = str(host_platform())
    leaf = for_platform(plain.put_artifact("deep", None, {"f": b"here"}), here)
    other = for_platform(plain.put_artifact("deep", None, {"f": b"there"}), "linux/riscv64")
    lowest = plain.put_document("deep", "lowest", index(leaf))
    middle = plain.put_document("deep", "middle", index(other, lowest))
    plain.put_document("deep", "top", index(middle))
    done = pull(f"{plain.host}/deep:top", tmp_path / "out")
    assert done.code == 0, done.stderr
    assert (tmp_path / "out/f").read_bytes() == b"here"
    done = pull(f"{plain.host}/deep:top", tmp_path / "other", "--platform", "linux/riscv64")
    assert (tmp_path / "other/f").read_bytes() == b"there"
    done = pull(f"{plain.host}/deep:top", tmp_path / "none", "--platform", "linux/s390x")
    assert done.code == 1
    assert "nothing for the platform linux/s390x" in done.stderr
    assert f"there are: {', '.join(sorted((here, 'linux/riscv64')))}" in done.stderr


def test_a_connection_that_keeps_being_cut_loses_next_to_nothing(plain: Registry, tmp_path: Path) -> None:
    data = os.urandom(MIB) * 96  # the size and the cuts of the real thing, a tenth each
    plain.put_artifact("cut", "1", {"image.raw": data})
    proxy = CuttingProxy(int(plain.host.split(":")[1]), 5 * MIB)
    with proxy.running():
        done = pull(f"127.0.0.1:{proxy.port}/cut:1", tmp_path / "out")
    assert done.code == 0, done.stderr
    assert (tmp_path / "out/image.raw").read_bytes() == data
    assert proxy.cuts >= 18
    # At most a hundredth twice, and the headers of twenty answers.
    assert proxy.passed <= len(data) * 1.01 + 65536


def test_a_killed_pull_is_continued_by_the_next(scripted: Scripted, tmp_path: Path) -> None:
    data = os.urandom(8 * MIB)
    scripted.put("a", "latest", {"f": data})
    served: list[int] = []

    def slowly(request: Request) -> bool:
        start = int(request.headers.get("Range", "bytes=0-")[6:-1])
        if "/blobs/" not in request.path:
            return False
        served.append(start)
        if start:
            return False
        request.send_response(200)
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data[: 5 * MIB])
        time.sleep(30)
        return True

    scripted.answer = slowly
    out = tmp_path / "out"
    out.mkdir()
    argv = [sys.executable, "-m", "twinroot.cli.main", "pull", f"{scripted.host}/a", "-o", str(out)]
    process = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and sum(path.stat().st_size for path in out.iterdir()) < 5 * MIB:
        time.sleep(0.05)
    busy = pull(f"{scripted.host}/a", out)
    assert "another process is fetching this file" in busy.stderr
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert [path.name for path in out.iterdir()] == [f".f.{digest_of(data)[7:23]}.partial"]
    done = pull(f"{scripted.host}/a", out)
    assert done.code == 0, done.stderr
    assert "Resuming: 5.00 MiB are here already" in done.stderr
    assert served[-1] == 5 * MIB
    assert [path.name for path in out.iterdir()] == ["f"]
    assert (out / "f").read_bytes() == data


def test_a_damaged_leftover_is_fetched_again(scripted: Scripted, tmp_path: Path) -> None:
    data = os.urandom(MIB)
    scripted.put("a", "latest", {"f": data})
    out = tmp_path / "out"
    out.mkdir()
    (out / f".f.{digest_of(data)[7:23]}.partial").write_bytes(bytes(1000))
    done = pull(f"{scripted.host}/a", out)
    assert done.code == 0, done.stderr
    assert (out / "f").read_bytes() == data


def test_ctrl_c_ends_a_pull_at_once_and_keeps_what_came(scripted: Scripted, tmp_path: Path) -> None:
    data = os.urandom(2 * MIB)
    scripted.put("a", "latest", {"f": data})
    ended = threading.Event()

    def stalls(request: Request) -> bool:
        if "/blobs/" not in request.path:
            return False
        request.send_response(200)
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data[:MIB])
        ended.wait(30)
        return True

    scripted.answer = stalls
    out = tmp_path / "out"
    out.mkdir()
    argv = [sys.executable, "-m", "twinroot.cli.main", "pull", f"{scripted.host}/a", "-o", str(out)]
    process = subprocess.Popen(argv, stderr=subprocess.PIPE)
    while process.poll() is None and sum(path.stat().st_size for path in out.iterdir()) < MIB:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=15)
    ended.set()
    assert process.returncode == 1
    assert b"nothing was pulled: interrupted" in errors
    assert b"Traceback" not in errors
    (left,) = out.iterdir()
    assert left.stat().st_size == MIB


def test_a_title_that_leads_elsewhere_is_refused(scripted: Scripted, tmp_path: Path) -> None:
    scripted.put("a", "latest", {"../../etc/passwd": b"root::0:0"})
    done = pull(f"{scripted.host}/a", tmp_path / "out")
    assert done.code == 1
    assert "the artifact names a file '../../etc/passwd', which leads out of the output directory" in done.stderr
    assert list((tmp_path / "out").iterdir()) == []
    assert not any("/blobs/" in path for path in in_time(scripted))


def test_a_link_in_the_output_directory_is_not_followed(scripted: Scripted, tmp_path: Path) -> None:
    scripted.put("a", "latest", {"sub/f": b"x"})
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out/sub").symlink_to(tmp_path / "elsewhere")
    done = pull(f"{scripted.host}/a", tmp_path / "out")
    assert done.code == 1
    assert "something else is there" in done.stderr
    assert list((tmp_path / "elsewhere").iterdir()) == []


def wrong_content(scripted: Scripted, data: bytes) -> None:
    scripted.content[f"a/blobs/{digest_of(data)}"] = ("", bytes(len(data)))


def truncated(scripted: Scripted, data: bytes) -> None:
    scripted.content[f"a/blobs/{digest_of(data)}"] = ("", data[:-10])


def longer(scripted: Scripted, data: bytes) -> None:
    scripted.content[f"a/blobs/{digest_of(data)}"] = ("", data + b"more")


def longer_without_saying_so(scripted: Scripted, data: bytes) -> None:
    def answer(request: Request) -> bool:
        if "/blobs/" not in request.path:
            return False
        request.send_response(200)
        request.end_headers()
        request.wfile.write(data + bytes(1000))
        request.close_connection = True
        return True

    scripted.answer = answer


def other_manifest(scripted: Scripted, data: bytes) -> None:
    def answer(request: Request) -> bool:
        if "/manifests/" in request.path:
            request.reply(200, scripted.content["a/manifests/latest"][1], Docker_Content_Digest=digest_of(data))
        return "/manifests/" in request.path

    scripted.answer = answer


def no_json(scripted: Scripted, data: bytes) -> None:
    scripted.content["a/manifests/latest"] = ("text/html", b"<html>")


def unknown_blob(scripted: Scripted, data: bytes) -> None:
    del scripted.content[f"a/blobs/{digest_of(data)}"]


def endless_manifest(scripted: Scripted, data: bytes) -> None:
    scripted.content["a/manifests/latest"] = ("text/html", bytes(5 * MIB))


DAMAGE = [
    (wrong_content, "does not match its digest"),
    (truncated, "has 65526 bytes where the manifest says 65536"),
    (longer, "has 65540 bytes where the manifest says 65536"),
    (longer_without_saying_so, "is longer than the manifest says"),
    (other_manifest, "the manifest does not match its digest"),
    (no_json, "the manifest is not JSON"),
    (unknown_blob, "not found"),
    (endless_manifest, "the answer is longer than 4194304 bytes"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGE, ids=[damage.__name__ for damage, _ in DAMAGE])
def test_damage_is_named_and_nothing_is_left(scripted: Scripted, tmp_path: Path, damage: Any, message: str) -> None:
    data = os.urandom(65536)
    scripted.put("a", "latest", {"f": data})
    damage(scripted, data)
    (tmp_path / "out").mkdir()
    reference = Reference(scripted.host, "a")
    with Client(reference, Access(plain_http=True)) as client, pytest.raises(TwinrootError, match=message):
        found = resolve(client)
        fetch_files(client, files_of(found, str(reference)), tmp_path / "out", silent)
    assert [path for path in (tmp_path / "out").iterdir() if path.stat().st_size] == []
    assert not (tmp_path / "out/f").exists()
