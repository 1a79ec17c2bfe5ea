"""`twinroot pull` and what registries, token servers and proxies answer."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path

import pytest

from tests.registry.servers import (
    Request,
    Scripted,
)
from tests.registry.test_pull import MIB, in_time, pull


def test_a_missing_tag_is_asked_for_once(scripted: Scripted, tmp_path: Path) -> None:
    done = pull(f"{scripted.host}/a:absent", tmp_path / "out")
    assert done.code == 1
    assert f"{scripted.host}/a:absent: not found: no such thing" in done.stderr
    assert in_time(scripted).count("/v2/a/manifests/absent") == 1


def test_missing_credentials_are_asked_for_once(scripted: Scripted, tmp_path: Path) -> None:
    def locked(request: Request) -> bool:
        if request.path != "/v2/":
            request.reply(401, WWW_Authenticate='Basic realm="r"')
        return request.path != "/v2/"

    scripted.answer = locked
    done = pull(f"{scripted.host}/a:1", tmp_path / "out")
    assert "the registry wants credentials" in done.stderr
    assert f"twinroot login {scripted.host}" in done.stderr
    assert in_time(scripted).count("/v2/a/manifests/1") == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_failing_registry_is_asked_again(scripted: Scripted, tmp_path: Path, status: int) -> None:
    scripted.put("a", "latest", {"f": b"x"})
    failures = iter([True, True])
    started = time.monotonic()

    def fails_twice(request: Request) -> bool:
        if "/manifests/" in request.path and next(failures, False):
            request.reply(status, b"", **({"Retry_After": "1"} if status == 429 else {}))
            return True
        return False

    scripted.answer = fails_twice
    done = pull(f"{scripted.host}/a", tmp_path / "out")
    assert done.code == 0, done.stderr
    assert in_time(scripted).count("/v2/a/manifests/latest") == 3
    if status == 429:
        assert time.monotonic() - started >= 2
        assert "The registry asks to wait for 1 s" in done.stderr


def test_a_registry_that_asks_for_too_much_patience(scripted: Scripted, tmp_path: Path) -> None:
    def later(request: Request) -> bool:
        request.reply(429, Retry_After="3600")
        return True

    scripted.answer = later
    done = pull(f"{scripted.host}/a", tmp_path / "out")
    assert "the registry asks to wait for 3600 seconds" in done.stderr


def test_a_token_that_expires_on_the_way_is_renewed(scripted: Scripted, tmp_path: Path) -> None:
    data = os.urandom(MIB)
    scripted.put("a", "latest", {"f": data})
    tokens: list[str] = []
    used: set[str] = set()

    def with_tokens(request: Request) -> bool:
        if request.path.startswith("/token"):
            assert "service=here" in request.path
            assert "scope=repository%3Aa%3Apull" in request.path
            tokens.append(f"token-{len(tokens)}")
            request.reply(200, json.dumps({"token": tokens[-1]}).encode())
            return True
        sent = request.headers.get("Authorization", "")
        # Each token is good for one request.
        if request.path == "/v2/" or (sent.removeprefix("Bearer ") in tokens and sent not in used):
            used.add(sent)
            if "/blobs/" in request.path and "Range" not in request.headers:
                request.send_response(200)
                request.send_header("Content-Length", str(len(data)))
                request.end_headers()
                request.wfile.write(data[:1000])
                request.close_connection = True
                return True
            return False
        challenge = f'Bearer realm="http://{scripted.host}/token",service="here",scope="repository:a:pull"'
        request.reply(401, WWW_Authenticate=challenge)
        return True

    scripted.answer = with_tokens
    done = pull(f"{scripted.host}/a", tmp_path / "out")
    assert done.code == 0, done.stderr
    assert (tmp_path / "out/f").read_bytes() == data
    assert len(tokens) == 3


def test_a_token_server_that_refuses(scripted: Scripted, tmp_path: Path) -> None:
    def refuses(request: Request) -> bool:
        if request.path.startswith("/token"):
            request.reply(403)
        else:
            request.reply(401, WWW_Authenticate=f'Bearer realm="http://{scripted.host}/token",service="s"')
        return True

    scripted.answer = refuses
    done = pull(f"{scripted.host}/a", tmp_path / "out")
    assert "the registry gives no token without credentials (status 403)" in done.stderr


def test_blobs_may_lie_on_another_host_which_gets_no_credentials(scripted: Scripted, tmp_path: Path) -> None:
    data = os.urandom(1000)
    seen: list[str | None] = []
    with Scripted().running() as store:
        store.put("a", "x", {"f": data})

        def looks(request: Request) -> bool:
            seen.append(request.headers.get("Authorization"))
            return False

        store.answer = looks
        scripted.put("a", "latest", {"f": data})

        def redirects(request: Request) -> bool:
            if "/blobs/" in request.path:
                location = f"http://{store.host.replace('127.0.0.1', 'localhost')}{request.path}"
                request.reply(307, Location=location)
                return True
            if not request.headers.get("Authorization"):
                request.reply(401, WWW_Authenticate='Basic realm="r"')
                return True
            return False

        scripted.answer = redirects
        (tmp_path / "auth.json").write_text(json.dumps({"auths": {scripted.host: {"username": "u", "password": "p"}}}))
        done = pull(f"{scripted.host}/a", tmp_path / "out", "--registry-config", tmp_path / "auth.json")
    assert done.code == 0, done.stderr
    assert seen == [None]


def test_a_server_that_cannot_resume_is_read_from_the_beginning(scripted: Scripted, tmp_path: Path) -> None:
    data = os.urandom(MIB)
    scripted.put("a", "latest", {"f": data})
    rounds: list[int] = []

    def no_ranges(request: Request) -> bool:
        if "/blobs/" not in request.path:
            return False
        rounds.append(1)
        request.send_response(200)
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data if len(rounds) > 1 else data[: MIB // 2])
        request.close_connection = True
        return True

    scripted.answer = no_ranges
    done = pull(f"{scripted.host}/a", tmp_path / "out")
    assert done.code == 0, done.stderr
    assert hashlib.sha256((tmp_path / "out/f").read_bytes()).digest() == hashlib.sha256(data).digest()


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("nothing", "is not a registry reference"),
        ("127.0.0.1:1/a", "Connection refused"),
        ("no-such-host.invalid/a", "the connection does not work"),
    ],
)
def test_what_cannot_be_reached(tmp_path: Path, reference: str, message: str) -> None:
    done = pull(reference, tmp_path / "out")
    assert done.code == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_proxies_are_for_other_machines(scripted: Scripted, tmp_path: Path) -> None:
    scripted.put("a", "latest", {"f": b"x"})
    proxies = {"HTTP_PROXY": f"http://{scripted.host}", "HTTPS_PROXY": "http://127.0.0.1:1"}
    done = pull("registry.invalid/a", tmp_path / "out", "--plain-http", env=proxies)
    assert "not found" in done.stderr  # the proxy's answer
    assert in_time(scripted) == ["http://registry.invalid/v2/a/manifests/latest"]
    done = pull(f"{scripted.host}/a", tmp_path / "out", env={"HTTP_PROXY": "http://127.0.0.1:1"} | proxies)
    assert done.code == 0, done.stderr
    assert "http://" not in in_time(scripted)[-1]


def test_images_without_names_are_no_artifacts(scripted: Scripted, tmp_path: Path) -> None:
    scripted.put("a", "latest", {})
    assert "there are no named files in this" in pull(f"{scripted.host}/a", tmp_path / "out").stderr


def test_a_full_disk_is_named(scripted: Scripted, tmp_path: Path) -> None:
    found = scripted.put("a", "latest", {"f": b"x"})
    raw = json.loads(scripted.content["a/manifests/latest"][1])
    raw["layers"][0]["size"] = 1 << 60
    scripted.put_document("a", "latest", raw)
    done = pull(f"{scripted.host}/a", tmp_path / "out")
    assert "are to be fetched and" in done.stderr
    assert found["size"]
