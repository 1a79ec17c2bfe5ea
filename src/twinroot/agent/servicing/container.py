"""Agents in containers, which the peer can be and this one cannot (servicing spec, section 1.4)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from twinroot.agent.errors import ServicingError

VARIABLE = "DOCKER_ENVIRONMENT"
MARK = Path("/.dockerenv")
"""A file that Docker puts into its containers."""


def refuse_container(environment: Mapping[str, str], mark: Path = MARK) -> None:
    """ServicingError where the agent is in a container: what it sees is not the machine, and what it changes is lost.

    `DOCKER_ENVIRONMENT=true` says that it is in one; with another value, the container is taken for a machine.
    """
    said = environment.get(VARIABLE)
    if said == "true":
        message = f"{VARIABLE} says that the agent is in a container, from where it cannot service a machine"
        hint = "install the agent's package on the machine itself"
        raise ServicingError("container-configuration", message, hint=hint, inner="host-root-mount-check")
    if said is None and mark.exists():
        message = f"{mark} says that this is a container, and no machine"
        hint = f"run it on the machine itself; {VARIABLE}=false has a container taken for a machine"
        raise ServicingError("container-configuration", message, hint=hint, inner="docker-environment-var-check")
