"""Errors of steps on a new system under the peer's names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from twinroot.agent.errors import ServicingError
from twinroot.errors import CommandError, HostError, InputError, NoSpaceError


@contextmanager
def blaming(name: str, key: str) -> Iterator[None]:
    """What goes wrong with a key of the configuration is a ServicingError of that name. A full disk stays so."""
    try:
        yield
    except NoSpaceError:
        raise
    except CommandError as error:
        said = error.output.strip().splitlines()
        raise ServicingError(name, f"{key}: {said[-1] if said else error.message}", hint=error.hint) from error
    except (InputError, HostError) as error:
        raise ServicingError(name, f"{key}: {error.message}", hint=error.hint) from error
    except OSError as error:
        raise ServicingError(name, f"{key}: {error.strerror or error}", hint="look at the disk and its room") from error
