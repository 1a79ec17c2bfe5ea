"""The agent's own program, started by its helpers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from twinroot.tools.run import run


def update(config: Path, operation: Literal["stage", "finalize"], on_line: Callable[[str], None]) -> None:
    """Let `trident update` do one of its operations; CommandError when it fails. Finalizing ends with a reboot."""
    run(["trident", "update", config, "--allowed-operations", operation], on_line=on_line, merged=True)
