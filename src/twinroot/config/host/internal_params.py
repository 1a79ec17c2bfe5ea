"""`internalParams`: switches of the agent without promise (host-config spec, section 11). Any key is accepted."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from twinroot.config.document import Quoted

_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,3})?")
_WORDS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}

SWITCHES = frozenset(
    (
        "allowUnusedFilesystems", "allowHostConfigStorageChange", "disableFsBlockDeviceSizeCheck",
        "disableGrubNoprefixCheck", "disableHostnameCarryOver", "disableMediaEjection", "dracutDebug", "forceAbUpdate",
        "noCloseEncryptedVolumes", "noTransition", "preRebootChecks", "reencryptOnCleanInstall",
        "relaxedCosiValidation", "selfUpgradeTrident", "uki", "virtdeployBootOrderWorkaround", "waitForSystemdNetworkd",
        "writableEtcOverlayHooks", "injectedHostStatus",
    )
)  # fmt: skip
"""Those that are on or off."""

KNOWN = SWITCHES | {
    "httpConnectionTimeoutSeconds",
    "orchestratorConnectionTimeoutSeconds",
    "streamSlowSpeedReportingThresholdMbps",
    "streamSlowSpeedReportingIntervalSeconds",
    "veritySignaturePaths",
    "harpoon",
}

WITHOUT_EFFECT = {
    "harpoon": "it has none in Trident either",
    "noCloseEncryptedVolumes": "encrypted volumes are never closed",
    "orchestratorConnectionTimeoutSeconds": "nothing is sent to orchestrators",
    "writableEtcOverlayHooks": "/etc can be written in any case",
}
"""Those that change nothing here, and why."""


def resolved(value: Any) -> Any:
    """A value of free form as YAML 1.2 has it: configurations otherwise keep text until the field is known."""
    if isinstance(value, dict):
        return {key: resolved(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return tuple(resolved(item) for item in value)
    if isinstance(value, Quoted):
        return str(value)
    if not isinstance(value, str):
        return value
    if value in _WORDS:
        return _WORDS[value]
    if _INTEGER.fullmatch(value):
        return int(value)
    if _FLOAT.fullmatch(value) and math.isfinite(float(value)):
        return float(value)
    return value


def is_set(params: Mapping[str, Any], name: str) -> bool:
    """Whether a switch is on. What is not true or false is off."""
    return params.get(name) is True


InternalParams = Annotated[
    dict[str, Any], BeforeValidator(resolved), WithJsonSchema({"type": "object", "additionalProperties": True})
]
