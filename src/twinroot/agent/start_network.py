"""`trident start-network`: the network of the system that runs an installation (servicing spec, section 1.2)."""

from __future__ import annotations

from pathlib import Path

from twinroot.agent.datastore import Datastore, is_temporary
from twinroot.agent.errors import ServicingError
from twinroot.agent.osconfig.network import apply_at_runtime
from twinroot.config.host.config import HostConfig
from twinroot.config.host.netplan import Netplan


def network_of(config: HostConfig) -> Netplan | None:
    """The network of the system that installs: its own if there is one, else that of the system to be. Pure."""
    return config.management_os.netplan or config.os.netplan


def is_installed(datastore: Path) -> bool:
    """Whether the agent installed the system that runs, or was told what it is: its network is in its files then.

    What a configuration asks for beyond that is an update, which is checked, and can fail.
    """
    if not datastore.exists():
        return False
    with Datastore.open(datastore) as store:
        return not is_temporary(store.status())


def start_network(config: HostConfig, root: Path = Path("/")) -> bool:
    """Give the running system its network. False when the configuration has none: then nothing is touched.

    Raises ServicingError.
    """
    spec = network_of(config)
    if spec is None:
        return False
    try:
        apply_at_runtime(spec, root)
    except ServicingError as error:
        raise ServicingError(
            "start-network", f"the network cannot be started: {error.message}", hint=error.hint
        ) from error
    return True
