"""The image of a configuration, opened for a command."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from twinroot.agent.errors import ServicingError
from twinroot.agent.storage.image_source import CONNECT_TIMEOUT, open_image
from twinroot.config.host.config import HostConfig
from twinroot.errors import TwinrootError
from twinroot.formats.cosi.order import order_findings
from twinroot.formats.cosi.reader import CosiFile

log = logging.getLogger(__name__)

_MOST_FINDINGS = 20


@contextmanager
def opened_image(config: HostConfig) -> Iterator[CosiFile | None]:
    """The image of a configuration while the block runs; None when it has none. ServicingError `load-cosi`."""
    if config.image is None:
        yield None
        return
    timeout = _connect_timeout(config.internal_params)
    with opened(config.image.url, config.image.sha384, name="image.sha384", connect_timeout=timeout) as cosi:
        yield cosi


@contextmanager
def opened(url: str, sha384: str, *, name: str, connect_timeout: float = CONNECT_TIMEOUT) -> Iterator[CosiFile]:
    """The image at a URL while the block runs. ServicingError `load-cosi`; `name` is what the user calls the hash."""
    if sha384 == "ignored" and url.lower().startswith("http://"):
        log.warning("Nobody vouches for this image: it comes over http, and %s is 'ignored'", name)
    with ExitStack() as stack:
        try:
            cosi = stack.enter_context(open_image(url, sha384, connect_timeout=connect_timeout))
        except TwinrootError as error:
            message = f"{error.where or 'the image'}: {error.message}"
            raise ServicingError("load-cosi", message, hint=error.hint) from error
        _tell(cosi)
        yield cosi


def _tell(cosi: CosiFile) -> None:
    """Log what breaks the format's rules without making the image useless, as the reference reader does not mind it."""
    found = [*cosi.findings, *order_findings(list(cosi.members.values()), cosi.metadata)]
    for finding in found[:_MOST_FINDINGS]:
        log.warning("Tolerated in the image: %s", finding)
    if len(found) > _MOST_FINDINGS:
        log.warning("Tolerated in the image: %d other things", len(found) - _MOST_FINDINGS)


def _connect_timeout(params: Mapping[str, object]) -> float:
    """Seconds to wait for a web server to answer."""
    value = params.get("httpConnectionTimeoutSeconds", CONNECT_TIMEOUT)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
        message = f"internalParams.httpConnectionTimeoutSeconds must be a number of seconds, not {value!r}"
        raise ServicingError("invalid-internal-parameter", message)
    return float(value)
