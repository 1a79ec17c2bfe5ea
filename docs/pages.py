"""What generated pages have in common."""

from __future__ import annotations

NOTE = "<!-- Made by docs/generate.py from the code; changes here are lost. -->\n"


def cell(text: str) -> str:
    """Text for a cell of a table."""
    return text.replace("|", "\\|").replace("\n", " ")
