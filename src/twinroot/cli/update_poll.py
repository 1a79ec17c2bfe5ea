"""`trident-update-poll`: ask for a newer image once."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command; returns the exit code."""
    return 0


if __name__ == "__main__":
    sys.exit(main())
