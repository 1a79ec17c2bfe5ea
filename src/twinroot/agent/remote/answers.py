"""What a request is answered: the lines that a command logs, and how it ended, as messages. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from twinroot.agent.remote import trident_v1_pb2 as v1
from twinroot.agent.remote.orders import Order, Restart
from twinroot.agent.remote.report import Report
from twinroot.agent.states import ServicingType

MAX_TEXT = 64 * 1024
"""Characters of a text in a message. Clients refuse messages of more than 4 MiB unless they are told otherwise."""

_LEVELS = {
    "ERROR": v1.LOG_LEVEL_ERROR,
    "WARN": v1.LOG_LEVEL_WARN,
    "INFO": v1.LOG_LEVEL_INFO,
    "DEBUG": v1.LOG_LEVEL_DEBUG,
    "TRACE": v1.LOG_LEVEL_TRACE,
}
_KINDS = {
    "execution-environment-misconfiguration": v1.EXECUTION_ENVIRONMENT_MISCONFIGURATION_ERROR,
    "health-checks": v1.HEALTH_CHECKS_ERROR,
    "initialization": v1.INITIALIZATION_ERROR,
    "internal": v1.INTERNAL_ERROR,
    "invalid-input": v1.INVALID_INPUT_ERROR,
    "servicing": v1.SERVICING_ERROR,
    "unsupported-configuration": v1.UNSUPPORTED_CONFIGURATION_ERROR,
}
_SERVICING = {
    ServicingType.NONE: v1.SERVICING_KIND_NONE_REQUIRED,
    ServicingType.RUNTIME_UPDATE: v1.SERVICING_KIND_RUNTIME_UPDATE,
    ServicingType.AB_UPDATE: v1.SERVICING_KIND_AB_UPDATE,
    ServicingType.CLEAN_INSTALL: v1.SERVICING_KIND_CLEAN_INSTALL,
    ServicingType.MANUAL_ROLLBACK_AB: v1.SERVICING_KIND_MANUAL_ROLLBACK_AB,
    ServicingType.MANUAL_ROLLBACK_RUNTIME: v1.SERVICING_KIND_MANUAL_ROLLBACK_RUNTIME,
}


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code, what it reported, and the last error that it logged."""

    code: int
    report: Report | None
    last_error: str = ""


def log_message(line: str) -> v1.Log:
    """A line of the command's standard error: of the agent's log, or else what nobody expected, such as a traceback."""
    found = _record(line)
    if found is None:
        return v1.Log(level=v1.LOG_LEVEL_ERROR, message=_text(line))
    path, number = found.get("file"), found.get("line")
    place = None
    if isinstance(path, str) and isinstance(number, int) and 0 <= number < 2**32:
        place = v1.FileLocation(path=_text(path), line=number)
    return v1.Log(
        level=_LEVELS.get(str(found.get("level")), v1.LOG_LEVEL_UNSPECIFIED),
        message=_text(found.get("message", "")),
        module=_text(found.get("module", "")),
        target=_text(found.get("target", "")),
        location=place,
    )


def _record(line: str) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and "message" in found else None


def completed(order: Order, ended: Ended) -> v1.Completed:
    """The last message of an answer."""
    report = ended.report or Report()
    error = _error(order, ended)
    done = v1.Completed(
        status=v1.STATUS_CODE_FAILURE if error else v1.STATUS_CODE_SUCCESS,
        error=error,
        reboot_status=_reboot_status(order, report),
    )
    if report.kind is not ServicingType.NONE or not error:
        done.servicing_kind = _SERVICING[report.kind]
    if report.image_sha384:
        done.image_hash = f"sha384:{report.image_sha384}"
    return done


def restarts(order: Order, ended: Ended) -> bool:
    """Whether the agent is to restart the machine now."""
    return order.restart is Restart.AGENT and ended.report is not None and ended.report.restart


def _reboot_status(order: Order, report: Report) -> v1.RebootStatus:
    if not report.restart:
        return v1.REBOOT_NOT_REQUIRED
    return v1.REBOOT_STARTED if order.restart is Restart.AGENT else v1.REBOOT_REQUIRED


def _error(order: Order, ended: Ended) -> v1.TridentError | None:
    report = ended.report
    if report and report.error:
        name = report.error.get("error")
        message = _text(report.error.get("message", ""))
        return v1.TridentError(
            kind=_KINDS.get(str(report.error.get("category")), v1.TRIDENT_ERROR_KIND_UNSPECIFIED),
            subkind=_text(name if isinstance(name, str) else _inner(name)),
            message=message,
            error_message=f"{message}\n  hint: {_text(report.hint)}" if report.hint else message,
        )
    if report and report.restart and order.restart is Restart.NEVER:
        return _internal("the machine would have to start anew, which staging never asks for")
    if ended.code == 0 and report:
        return None
    why = f": {ended.last_error}" if ended.last_error else ""
    how = f"was killed by signal {-ended.code}" if ended.code < 0 else f"ended with exit code {ended.code}"
    return _internal(f"the command {how}{why}")


def _inner(name: Any) -> str:
    """A name within a group of errors: `datastore/open-datastore` of `{datastore: {inner: open-datastore}}`."""
    return "/".join(f"{group}/{found.get('inner')}" for group, found in name.items()) if isinstance(name, dict) else ""


def _internal(message: str) -> v1.TridentError:
    text = _text(message)
    return v1.TridentError(kind=v1.INTERNAL_ERROR, subkind="internal", message=text, error_message=text)


def _text(value: object) -> str:
    """A text that a message can hold: not endless, and without what is no Unicode."""
    text = str(value)
    if len(text) > MAX_TEXT:
        text = f"{text[:MAX_TEXT]}…"
    return text.encode("utf-8", "backslashreplace").decode()
