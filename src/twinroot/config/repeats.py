"""What a list names twice, which the peers accept: a warning. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from twinroot.config.image.services import Services
from twinroot.config.problems import Finding, KeyPath, quoted

_UNIT = ".service"  # what systemd adds to a name without an ending


def repeats(path: KeyPath, names: Iterable[str], what: str, hint: str, *, key: KeyPath = ()) -> Iterator[Finding]:
    """A finding for each item of the list at `path` that an earlier one names; `key` is where an item has its name."""
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name in seen:
            yield Finding((*path, index, *key), f"the {what} {quoted(name)} is listed twice", hint)
        seen.add(name)


def repeated_services(path: KeyPath, services: Services) -> Iterator[Finding]:
    """Units that are listed twice, or to be enabled and disabled."""
    enabled, disabled = ([name.removesuffix(_UNIT) for name in names] for names in (services.enable, services.disable))
    yield from repeats((*path, "enable"), enabled, "service", "remove one of them")
    yield from repeats((*path, "disable"), disabled, "service", "remove one of them")
    for index, name in enumerate(disabled):
        if name in enabled:
            message = f"the service {quoted(name)} is enabled as well: it ends disabled"
            yield Finding((*path, "disable", index), message, "remove it from one of the lists")
