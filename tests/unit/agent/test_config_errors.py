"""Mistakes of a host configuration under the names that scripts of the peer look for (host-config spec, 1.1)."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.config.host.texts import SMALL, changed

from twinroot.agent.servicing.agent import as_servicing_error
from twinroot.config.checks import at_place
from twinroot.config.host.not_built import unbuilt
from twinroot.config.load_host import load_host_config
from twinroot.errors import ConfigError

OFF = "trident: {disable: true}\n"
STATIC = "invalid-host-configuration-static"
KEY = "  encryption: {recoveryKeyUrl: 'https://a/b', volumes: [], pcrs: []}\n"
EXTENSION = OFF + f"os: {{sysexts: [{{url: 'file:///x.raw', sha384: {'ab' * 48}, path: x.raw}}]}}\n"
FILE = OFF + "os: {additionalFiles: [{destination: /a, content: b, permissions: %s}]}\n"


def static(name: str) -> object:
    return {STATIC: {"inner": name}}


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (None, "read-input-file"),
        ("a: [", "parse-host-configuration-file"),
        ("os: {hostNam: b}", "parse-host-configuration-file"),
        ("hostConfiguration: {}", "old-style-configuration"),
        ("allowedOperations: []", "allowed-operations-in-host-configuration"),
        ("{}", static("datastore-path-not-in-known-volume")),
        (OFF + "os: {users: [{name: a}, {name: a}]}", static("duplicate-usernames")),
        (changed(SMALL, "size: 4G", "size: 0"), static("basic-check-failed")),
        (changed(SMALL, "size: 4G", "size: 4097"), static("basic-check-failed")),
        (changed(SMALL, "/dev/vda", "vda"), static("basic-check-failed")),
        (changed(SMALL, "mountPoint: /}", "mountPoint: root}"), static("mount-point-path-not-absolute")),
        (SMALL + KEY, static("invalid-encryption-recovery-key-url-scheme")),
        (FILE % "'644'", static("additional-file-invalid-permissions")),
        (FILE % "'01777'", static("additional-file-invalid-permissions")),
        (EXTENSION, static("extension-image-invalid-directory")),
        (OFF + "internalParams: {preRebootChecks: true}", STATIC),
    ],
)
def test_the_first_problem_names_the_error(tmp_path: Path, text: str | None, error: object) -> None:
    path = tmp_path / "host.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        loaded = load_host_config(path)
        raise ConfigError([at_place(loaded.document, finding) for finding in unbuilt(loaded.config)])
    record = as_servicing_error(caught.value).record()
    assert (record["error"], record["category"]) == (error, "invalid-input")


def test_no_permissions_at_all(tmp_path: Path) -> None:
    path = tmp_path / "host.yaml"
    path.write_text(FILE % '"0"')
    assert load_host_config(path).config.os.additional_files[0].permissions == "0"
