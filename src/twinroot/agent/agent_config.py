"""The agent's own configuration, /etc/trident/trident.conf (servicing spec, section 1.3)."""

from __future__ import annotations

from pathlib import Path

from twinroot.agent.errors import ServicingError
from twinroot.config.host.places import DEFAULT_DATASTORE

DEFAULT_PATH = Path("/etc/trident/trident.conf")
_DATASTORE_KEY = "DatastorePath"
_MAX_BYTES = 1024 * 1024


def datastore_path(text: str) -> Path:
    """Where the datastore is, from the text of the file. Lines that nobody knows are ignored, the last one counts."""
    found = DEFAULT_DATASTORE
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals and key.strip() == _DATASTORE_KEY:
            found = value.strip()
    if not found.startswith("/"):
        message = f"{_DATASTORE_KEY} must be an absolute path, not {found!r}"
        raise ServicingError("image-bad-agent-configuration", message)
    return Path(found)


def read_datastore_path(path: Path = DEFAULT_PATH) -> Path:
    """The same from the file; without one, the default."""
    try:
        with path.open("rb") as stream:
            data = stream.read(_MAX_BYTES)
    except FileNotFoundError:
        return Path(DEFAULT_DATASTORE)
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise ServicingError("image-bad-agent-configuration", message) from error
    return datastore_path(data.decode(errors="replace"))
