"""Host configurations and statuses for tests of the agent."""

from __future__ import annotations

from typing import Any

from twinroot.agent.host_status import HostStatus
from twinroot.agent.states import State
from twinroot.agent.stored import COMPATIBLE_VERSION
from twinroot.config.host.config import HostConfig
from twinroot.config.load_host import parse_host_config

HASHES = {name: name * 96 for name in "0123456789abcdef"}

TEXT = """\
image: {url: 'https://images.example/os.cosi', sha384: %s}
storage:
  disks:
    - id: disk
      device: /dev/vda
      partitionTableType: gpt
      partitions:
        - {id: esp, type: esp, size: 64M}
        - {id: root-a, type: root, size: 4G}
        - {id: root-b, type: root, size: 4G}
        - {id: state, size: 1G}
  abUpdate: {volumePairs: [{id: root, volumeAId: root-a, volumeBId: root-b}]}
  filesystems:
    - {deviceId: esp, mountPoint: /boot/efi}
    - {deviceId: root, mountPoint: /}
    - {deviceId: state, source: new, mountPoint: /var/lib/trident}
"""


def config(image: str = "1", more: str = "") -> HostConfig:
    """A right configuration with an image (its hash is this digit repeated) and other sections."""
    return parse_host_config(TEXT % HASHES[image] + more, "host.yaml").config


def status(state: State, spec: HostConfig, old: HostConfig | None = None, **more: Any) -> HostStatus:
    """A status of this version."""
    values: dict[str, Any] = {"trident_version": COMPATIBLE_VERSION, **more}
    return HostStatus(servicing_state=state, spec=spec, spec_old=old or HostConfig(), **values)
