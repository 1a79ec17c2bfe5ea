"""When a request is worth repeating, and after how long. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

# Too many requests; the server or one behind it failed. Everything else is an answer (401, 403, 404 among it).
REPEATABLE = (408, 429, 500, 502, 503, 504)
MAX_ATTEMPTS = 6  # without any progress in between
LONGEST_WAIT = 120.0  # seconds that a server may ask us to wait
_FIRST, _LONGEST_BACKOFF = 0.25, 15.0


def backoff(attempt: int) -> float:
    """Seconds to wait before the repetition number `attempt`, from 1: doubling, bounded."""
    return min(_FIRST * float(1 << (attempt - 1)), _LONGEST_BACKOFF)


def asked_to_wait(header: str | None, now: datetime | None = None) -> float | None:
    """Seconds that a `Retry-After` header asks for (RFC 9110, section 10.2.3); None without a usable header."""
    if not header:
        return None
    if header.strip().isascii() and header.strip().isdigit():
        return float(header.strip()[:9])
    try:
        when = parsedate_to_datetime(header)
    except ValueError:
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - (now or datetime.now(UTC))).total_seconds())
