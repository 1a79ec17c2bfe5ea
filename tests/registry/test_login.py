"""Private registries: logging in and out, and the files and helpers that hold credentials."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from tests.images import Finished
from tests.registry.servers import Registry, Request, Scripted
from twinroot.config.registry_reference import Reference
from twinroot.errors import InputError
from twinroot.registry.credentials import Credentials, find_credentials

BASIC = "Basic " + base64.b64encode(b"someone:secret:word").decode()


def twinroot(*arguments: object, stdin: str = "", env: dict[str, str] | None = None) -> Finished:
    argv = [sys.executable, "-m", "twinroot.cli.main", *map(str, arguments)]
    done = subprocess.run(
        argv, input=stdin, capture_output=True, text=True, env=os.environ | (env or {}), check=False
    )  # fmt: skip
    return Finished(done.returncode, done.stdout, done.stderr)


def test_a_private_registry_with_its_own_authority(private: Registry, tmp_path: Path) -> None:
    trusting = ["--ca-file", private.ca_file]
    login = ["login", private.host, "--username", "someone", "--password-stdin"]
    (tmp_path / "f.raw").write_bytes(b"disk")
    reference = f"{private.host}/secret:1"
    done = twinroot("push", tmp_path / "f.raw", reference)
    assert "the server's certificate is not trusted" in done.stderr
    assert "--ca-file FILE" in done.stderr
    done = twinroot("push", tmp_path / "f.raw", reference, *trusting)
    assert "the registry wants credentials" in done.stderr
    done = twinroot(*login, *trusting, stdin="wrong\n")
    assert "the registry refuses the credentials of someone" in done.stderr
    assert not (tmp_path / "home/.docker").exists()
    done = twinroot(*login, *trusting, stdin="secret:word\n")
    assert done.code == 0, done.stderr
    assert "secret:word" not in done.stderr + done.stdout
    config = tmp_path / "home/.docker/config.json"
    assert config.stat().st_mode & 0o777 == 0o600
    assert twinroot("push", tmp_path / "f.raw", reference, *trusting).code == 0
    # The authority by the environment as well.
    done = twinroot("pull", reference, "-o", tmp_path / "out", env={"SSL_CERT_FILE": str(private.ca_file)})
    assert done.code == 0, done.stderr
    assert (tmp_path / "out/f.raw").read_bytes() == b"disk"
    done = twinroot("logout", private.host)
    assert f"Removed the credentials for {private.host} from {config}" in done.stderr
    assert twinroot("pull", reference, "-o", tmp_path / "out", *trusting).code == 1
    assert "Nobody is logged in" in twinroot("logout", private.host).stderr


def entry(**values: str) -> dict[str, object]:
    return {"auths": {"example.com": values}}


def test_the_most_specific_entry_counts(tmp_path: Path) -> None:
    auths = {
        name: {"username": name, "password": "x"}
        for name in ("example.com", "example.com/team", "example.com/team/b", "https://other.com/v1/")
    }
    (tmp_path / "a.json").write_text(json.dumps({"auths": auths}))
    cases = {
        ("example.com", "team/a"): "example.com/team",
        ("example.com", "team/b"): "example.com/team/b",
        ("example.com", "teams/b"): "example.com",
        ("other.com", "a"): "https://other.com/v1/",
    }
    for (registry, repository), user in cases.items():
        found = find_credentials(Reference(registry, repository), tmp_path / "a.json")
        assert found == Credentials(user, "x")
    assert find_credentials(Reference("third.com", "a"), tmp_path / "a.json") is None


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"auth": base64.b64encode(b"u:p:q").decode()}, Credentials("u", "p:q")),
        ({"username": "u", "password": "p"}, Credentials("u", "p")),
        ({"auth": base64.b64encode(b"u:").decode(), "identitytoken": "t"}, Credentials("u", "", "t")),
        ({}, None),
    ],
)
def test_entries(tmp_path: Path, values: dict[str, str], expected: Credentials | None) -> None:
    (tmp_path / "a.json").write_text(json.dumps(entry(**values)))
    assert find_credentials(Reference("example.com", "a"), tmp_path / "a.json") == expected


@pytest.mark.parametrize("text", ["{", "[]", '{"auths": []}', '{"auths": {"example.com": {"auth": "?"}}}'])
def test_broken_files_are_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError) as caught:
        find_credentials(Reference("example.com", "a"), tmp_path / "a.json")
    assert caught.value.where == str(tmp_path / "a.json")


def test_files_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reference = Reference("example.com", "a")
    places = [
        tmp_path / "home/.docker/config.json",
        tmp_path / "home/.config/containers/auth.json",
        tmp_path / "run/containers/auth.json",
        tmp_path / "chosen.json",
    ]
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    for path in places:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(entry(username=str(path), password="x")))
        if path == places[-1]:
            monkeypatch.setenv("REGISTRY_AUTH_FILE", str(path))
        found = find_credentials(reference)
        assert found
        assert found.username == str(path)


HELPER = """#!/bin/sh
read -r line
echo "$1 $line" >> "$HOME/asked"
case "$1" in
get) if [ -e "$HOME/stored" ]; then cat "$HOME/stored"; else echo "credentials not found in store"; exit 1; fi;;
store) echo "$line" > "$HOME/stored";;
erase) rm "$HOME/stored";;
esac
"""


def test_a_credential_helper(scripted: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper = tmp_path / "bin/docker-credential-test"
    helper.parent.mkdir()
    helper.write_text(HELPER)
    helper.chmod(0o755)
    monkeypatch.setenv("TWINROOT_TOOL_PATH", f"{helper.parent}:/usr/bin:/bin")
    config = tmp_path / "home/.docker/config.json"
    config.parent.mkdir()
    config.write_text(json.dumps({"credHelpers": {scripted.host: "test"}, "other": 1}))

    def locked(request: Request) -> bool:
        if request.headers.get("Authorization") == BASIC:
            return False
        request.reply(401, WWW_Authenticate='Basic realm="r"')
        return True

    scripted.answer = locked
    scripted.put("a", "latest", {"f": b"x"})
    login = ["login", scripted.host, "-u", "someone", "--password-stdin", "--plain-http"]
    done = twinroot(*login, stdin="secret:word")
    assert done.code == 0, done.stderr
    assert json.loads(config.read_text()) == {"credHelpers": {scripted.host: "test"}, "other": 1}
    assert json.loads((tmp_path / "home/stored").read_text())["Secret"] == "secret:word"
    assert twinroot("pull", f"{scripted.host}/a", "-o", tmp_path / "out", "--plain-http").code == 0
    assert "docker-credential-test" in twinroot("logout", scripted.host).stderr
    assert not (tmp_path / "home/stored").exists()


@pytest.mark.parametrize("code", [1, 3])
def test_a_helper_that_fails_shows_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    helper = tmp_path / "bin/docker-credential-broken"
    helper.parent.mkdir()
    helper.write_text(f"#!/bin/sh\necho hush\nexit {code}\n")
    helper.chmod(0o755)
    monkeypatch.setenv("TWINROOT_TOOL_PATH", f"{helper.parent}:/usr/bin:/bin")
    (tmp_path / "a.json").write_text(json.dumps({"credsStore": "broken"}))
    with pytest.raises(InputError, match=r"docker-credential-broken get example\.com failed") as caught:
        find_credentials(Reference("example.com", "a"), tmp_path / "a.json")
    assert "hush" not in str(caught.value)


def test_a_refresh_token(scripted: Scripted, tmp_path: Path) -> None:
    forms: list[dict[str, list[str]]] = []

    def with_tokens(request: Request) -> bool:
        if request.path == "/token":
            forms.append(parse_qs(request.rfile.read(int(request.headers["Content-Length"])).decode()))
            request.reply(200, b'{"access_token": "short"}')
            return True
        if request.headers.get("Authorization") == "Bearer short":
            return False
        challenge = f'Bearer realm="http://{scripted.host}/token",service="here",scope="repository:a:pull"'
        request.reply(401, WWW_Authenticate=challenge)
        return True

    scripted.answer = with_tokens
    scripted.put("a", "latest", {"f": b"x"})
    done = twinroot("login", scripted.host, "--identity-token-stdin", "--plain-http", stdin="long-lived\n")
    assert done.code == 0, done.stderr
    assert twinroot("pull", f"{scripted.host}/a", "-o", tmp_path / "out", "--plain-http").code == 0
    assert forms[-1] == {
        "grant_type": ["refresh_token"], "service": ["here"], "client_id": ["twinroot"],
        "refresh_token": ["long-lived"], "scope": ["repository:a:pull"],
    }  # fmt: skip


def test_credentials_are_not_sent_without_tls(private: Registry, scripted: Scripted, tmp_path: Path) -> None:
    """A registry without TLS that is not asked for by --plain-http is not talked to at all."""
    done = twinroot("pull", "registry.invalid:1/a", "-o", tmp_path)
    assert "https://registry.invalid:1" in done.stderr


def test_nothing_to_log_in_with(scripted: Scripted) -> None:
    assert "no terminal to ask on" in twinroot("login", scripted.host).stderr
    done = twinroot("login", scripted.host, "-u", "a", "--password-stdin")
    assert "standard input holds no password" in done.stderr
    assert "is not a registry" in twinroot("login", "a/b").stderr
