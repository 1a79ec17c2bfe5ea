"""The status of a machine, as both agents keep it in the datastore (servicing spec, section 2.5). Pure.

Reading is lenient with keys that it does not know, and strict with those of configurations. What their values must be
like is asked of those that come in: the peer accepts, and stores, some that are refused here.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError

from twinroot.agent.errors import ServicingError
from twinroot.agent.old_status import modernised
from twinroot.agent.states import LastError, Spec, State, Transition, Volume
from twinroot.config.document import plain
from twinroot.config.host.config import HostConfig
from twinroot.config.host.internal_params import resolved
from twinroot.config.host.normal import normal, to_yaml
from twinroot.config.host.scalars import Switch, Text
from twinroot.config.scalars import AS_STORED, Between
from twinroot.config.section import Section
from twinroot.config.yaml import parse
from twinroot.errors import ConfigError

AbVolume = Literal["volume-a", "volume-b"]


class HostStatus(Section):
    """What a machine is, and what is being done with it."""

    model_config = ConfigDict(extra="ignore")

    spec: HostConfig = Field(default_factory=HostConfig)
    spec_old: HostConfig = Field(default_factory=HostConfig)
    servicing_state: State = State.NOT_PROVISIONED
    last_error: Annotated[Any, BeforeValidator(resolved)] = None
    partition_paths: dict[str, Text] = Field(default_factory=dict)
    ab_active_volume: AbVolume | None = None
    disk_uuids: dict[str, Text] = Field(default_factory=dict)
    install_index: Annotated[int, Between(0, 2**31 - 1)] = 0
    is_management_os: Switch = False
    trident_version: Text | None = None


def read_status(text: str, where: str) -> HostStatus:
    """The status from YAML of this or an older version; ServicingError when it is none. `where` names its place."""
    try:
        data = modernised(plain(parse(text.encode(), where).root))
        return HostStatus.model_validate(data, by_alias=True, by_name=False, context=AS_STORED)
    except ConfigError as error:
        raise ServicingError("parse-host-status", f"the status is not YAML: {error.problems[0].message}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        path = ".".join(map(str, first["loc"]))
        raise ServicingError("parse-host-status", f"the status cannot be read: {path}: {first['msg']}") from None


def write_status(status: HostStatus) -> str:
    """The status as YAML."""
    return to_yaml(plain_status(status))


def plain_status(status: HostStatus) -> dict[str, Any]:
    """The status as plain data: what is not set is left out."""
    found: dict[str, Any] = {"spec": normal(status.spec)}
    if status.spec_old != HostConfig():
        found["specOld"] = normal(status.spec_old)
    found["servicingState"] = str(status.servicing_state)
    if status.last_error is not None:
        found["lastError"] = status.last_error
    if status.partition_paths:
        found["partitionPaths"] = dict(sorted(status.partition_paths.items()))
    if status.ab_active_volume:
        found["abActiveVolume"] = status.ab_active_volume
    if status.disk_uuids:
        found["diskUuids"] = dict(sorted(status.disk_uuids.items()))
    found["installIndex"] = status.install_index
    if status.is_management_os:
        found["isManagementOs"] = True
    if status.trident_version is not None:
        found["tridentVersion"] = status.trident_version
    return found


def after(
    status: HostStatus, transition: Transition, *, new_spec: HostConfig | None = None, error: Any = None
) -> HostStatus:
    """The status after a transition. `new_spec` where it brings one, `error` what there is to record."""
    changes: dict[str, Any] = {"servicing_state": transition.to, **_specs(status, transition.spec, new_spec)}
    if transition.volume is Volume.SWITCHED:
        changes["ab_active_volume"] = "volume-b" if status.ab_active_volume == "volume-a" else "volume-a"
    if transition.last_error is not LastError.KEPT:
        changes["last_error"] = error if transition.last_error is LastError.SET else None
    return status.model_copy(update=changes)


def _specs(status: HostStatus, change: Spec, new: HostConfig | None) -> dict[str, HostConfig]:
    if change in (Spec.NEW, Spec.REPLACED):
        if new is None:
            raise ValueError("this transition brings a new configuration")
        return {"spec": new, "spec_old": status.spec if change is Spec.NEW else status.spec_old}
    return {
        Spec.KEPT: {},
        Spec.SETTLED: {"spec_old": HostConfig()},
        Spec.RESTORED: {"spec": status.spec_old, "spec_old": HostConfig()},
        Spec.CLEARED: {"spec": HostConfig(), "spec_old": HostConfig()},
    }[change]
