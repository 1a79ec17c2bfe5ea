"""What the terminal is like that results are printed on."""

from __future__ import annotations

import os
import shutil
from typing import TextIO

DEFAULT_WIDTH = 100
_LEAST_WIDTH, _MOST_WIDTH = 60, 160


def screen_width() -> int:
    """The width of the terminal, within reason; DEFAULT_WIDTH where there is none."""
    columns = shutil.get_terminal_size((DEFAULT_WIDTH, 24)).columns
    return min(max(columns, _LEAST_WIDTH), _MOST_WIDTH)


def wants_color(choice: str, stream: TextIO) -> bool:
    """Whether to colour a result: as `--log-color` says, else on a terminal that has not asked for none."""
    if choice != "auto":
        return choice == "always"
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
