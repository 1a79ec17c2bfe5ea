"""The agent's packages, installed in an image of each family, and the agent run in a chroot of it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.images import BASE_DEB, BASE_RPM, RPMS, built
from tests.images.packages import built_packages
from tests.images.workplace import Workplace
from tests.unit.agent.statuses import HASHES, TEXT, config, status
from twinroot.agent.datastore import Datastore
from twinroot.agent.states import State

pytestmark = [pytest.mark.images, pytest.mark.packages]

MAX_BYTES = 40 << 20
INSTALLED = (
    "trident",
    "trident-service",
    "trident-provisioning",
    "trident-update-poll",
    "trident-static-pcrlock-files",
)
UNITS = "tridentd.socket tridentd.service trident.service trident-network.service trident-update-poll.timer"
# What is not the agent's own comes from glibc.
_INSIDE = r"""
set -eux
trident --version | grep '^trident [0-9]'
trident validate /opt/host.yaml
trident get configuration | grep 'sha384: .*2222'
test "$(trident get rollback-target)" = '{}'
code=0; trident no-such-command || code=$?; test "$code" = 2
code=0; trident-update-poll > /tmp/said 2>&1 || code=$?; test "$code" = 2; grep update-poll.yaml /tmp/said; rm /tmp/said
for file in /usr/lib/trident/bin/python3.11 $(find /usr/lib/trident -name '*.so'); do
    LD_LIBRARY_PATH=/usr/lib/trident/lib ldd "$file" > /tmp/libraries
    ! grep -vE '/usr/lib/trident/|linux-vdso|statically|/lib(c|m|dl|pthread|rt)\.so|/ld-linux' /tmp/libraries
    rm /tmp/libraries
done
/usr/lib/trident/bin/python3.11 -IBS -c '
import sys
sys.path.append("/usr/lib/trident/site")
from twinroot.registry.session import _BUNDLES, _system_bundle, trust
assert trust("a.example").cert_store_stats()["x509_ca"] and _system_bundle() in _BUNDLES'
test -s /var/lib/pcrlock.d/750-enter-initrd.pcrlock
for unit in UNITS; do systemctl enable "$unit" || test "$unit" = tridentd.service; done
systemctl is-enabled trident.service trident-network.service trident-update-poll.timer tridentd.socket
systemd-analyze verify /usr/lib/systemd/system/trident*
""".replace("UNITS", UNITS)


@pytest.fixture(scope="module")
def packages() -> Path:
    """The folder `bin`, with packages of the sources as they are."""
    return built_packages()


@pytest.fixture
def files(place: Workplace) -> Iterator[str]:
    """Lines of `additionalFiles`: a host configuration, and the datastore of a machine."""
    (place.root / "host.yaml").write_text(TEXT % HASHES["1"])
    with Datastore.create(place.root / "datastore.sqlite") as store:
        store.write(status(State.PROVISIONED, config("2"), ab_active_volume="volume-a"))
    (place.root / "inside.sh").write_text(_INSIDE)
    yield """
    - {source: host.yaml, destination: /opt/host.yaml}
    - {source: datastore.sqlite, destination: /var/lib/trident/datastore.sqlite}
"""


def test_rpms(packages: Path, files: str, place: Workplace) -> None:
    names = [path.name.split("-0.")[0] for path in (packages / "RPMS/x86_64").iterdir()]
    assert sorted(names) == sorted((*INSTALLED, "trident-install-service"))
    agent = next((packages / "RPMS/x86_64").glob("trident-0*"))
    query: list[str | Path] = ["rpm", "-qp", "--qf", "%{SIZE}", agent]
    assert int(subprocess.run(query, capture_output=True, text=True, check=True).stdout) <= MAX_BYTES
    text = f"""
os:
  packages: {{install: {json.dumps(INSTALLED)}}}
  additionalFiles: {files}
scripts:
  postCustomization:
    - path: inside.sh
"""
    done = place.run(
        built(BASE_RPM), text, "--rpm-source", RPMS, "--rpm-source", packages / "RPMS/x86_64",
        "--disable-base-image-rpm-repos", "--log-level", "debug",
    )  # fmt: skip
    assert done.code == 0, done.stderr[-5000:]


def test_debs(packages: Path, files: str, place: Workplace) -> None:
    debs = sorted((packages / "DEBS/amd64").iterdir())
    wanted = [path for path in debs if "install-service" not in path.name]
    lines = "".join(f"    - {{source: {path}, destination: /opt/{path.name}}}\n" for path in wanted)
    inside = place.root / "inside.sh"
    inside.write_text(f"set -e\ndpkg --install /opt/*.deb\n{inside.read_text()}rm -r /opt/*.deb\n")
    text = f"""
os:
  packages: {{install: [e2fsprogs, util-linux, dosfstools, efibootmgr, lsof, openssl, systemd, passwd, udev]}}
  additionalFiles: {files}{lines}
scripts:
  postCustomization:
    - path: inside.sh
"""
    done = place.run(built(BASE_DEB), text, "--log-level", "debug")
    assert done.code == 0, done.stderr[-5000:]
