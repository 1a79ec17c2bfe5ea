"""Every rule between the objects of a host configuration."""

from __future__ import annotations

from twinroot.config.checks import Rule
from twinroot.config.host.config import HostConfig
from twinroot.config.host.graph_rules import GRAPH_RULES
from twinroot.config.host.image_urls import IMAGE_RULES
from twinroot.config.host.os_rules import OS_RULES
from twinroot.config.host.partition_rules import PARTITION_RULES
from twinroot.config.host.storage_rules import STORAGE_RULES

HOST_RULES: tuple[Rule[HostConfig], ...] = (
    *GRAPH_RULES,
    *PARTITION_RULES,
    *STORAGE_RULES,
    *OS_RULES,
    *IMAGE_RULES,
)
