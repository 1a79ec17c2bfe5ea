"""The sub-commands of `trident` that change a machine: install, update, commit, rollback (servicing spec 1)."""

from __future__ import annotations

import argparse
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from twinroot.cli.frame import Show, report_problems, run_command
from twinroot.events import Emit

if TYPE_CHECKING:
    from twinroot.agent.decide import Allowed
    from twinroot.agent.errors import ServicingError
    from twinroot.agent.remote.report import Report
    from twinroot.agent.servicing.agent import Agent, Result
    from twinroot.agent.servicing.ledger import Ledger
    from twinroot.config.host.config import HostConfig

log = logging.getLogger("twinroot.cli")

FAILED, NOT_RESTARTED = 2, 3
LOG_FILE = Path("/var/log/trident-full.log")
_PATIENCE = 600.0  # seconds for a restart that was asked for to come
_OPERATIONS = ("stage", "finalize")

Work = Callable[["Agent", "Ledger"], "Result"]
Perform = Callable[["Agent"], "tuple[ServicingError | None, Report]"]
"""Does a command; its error, which a machine that has to start anew may have as well, and what it did."""


def add_install(command: argparse.ArgumentParser) -> None:
    """The flags of `install`, without the configuration."""
    add_operations(command)
    command.add_argument(
        "--multiboot", action="store_true", help="install beside the system that runs, onto partitions that are adopted"
    )
    _add_files(command)
    command.set_defaults(run=_install)


def add_update(command: argparse.ArgumentParser) -> None:
    """The flags of `update`, without the configuration."""
    add_operations(command)
    _add_files(command)
    command.set_defaults(run=_update)


def add_commit(command: argparse.ArgumentParser) -> None:
    """The flags of `commit`."""
    _add_files(command)
    command.set_defaults(run=_commit)


def add_rollback(command: argparse.ArgumentParser) -> None:
    """The flags of `rollback`."""
    command.add_argument("--check", action="store_true", help="only print what could be undone: ab, runtime or none")
    kind = command.add_mutually_exclusive_group()
    kind.add_argument(
        "--runtime", dest="kind", action="store_const", const="runtime", help="undo an update of the running system"
    )
    kind.add_argument("--ab", dest="kind", action="store_const", const="ab", help="go back to the other system")
    add_operations(command)
    _add_files(command)
    command.set_defaults(run=_rollback)


def operations(text: str) -> tuple[str, ...]:
    """The operations of `--allowed-operations`; ArgumentTypeError for others."""
    found = tuple(word.strip() for word in text.split(",") if word.strip())
    for word in found:
        if word not in _OPERATIONS:
            raise argparse.ArgumentTypeError(f"'{word}' is no operation: use {' and '.join(_OPERATIONS)}")
    return found


def add_operations(command: argparse.ArgumentParser) -> None:
    """The flag that says what of an operation may be done."""
    command.add_argument(
        "--allowed-operations", type=operations, nargs="?", const=(), default=_OPERATIONS, metavar="LIST",
        help="what may be done: stage, finalize, or both with a comma between (default: both)",
    )  # fmt: skip


def _add_files(command: argparse.ArgumentParser) -> None:
    command.add_argument("-s", "--status", type=Path, metavar="FILE", help="write the status to a file afterwards")
    add_reports(command)


def add_reports(command: argparse.ArgumentParser) -> None:
    """The flags of what a command tells of its end."""
    command.add_argument("-e", "--error", type=Path, metavar="FILE", help="write the error to a file if there is one")
    # For the daemon: a restart is left to the caller, who hears of it and of all else from this file
    # (agent/remote/report.py), and standard error has the lines of the log file.
    command.add_argument("--on-behalf", type=Path, metavar="FILE", help=argparse.SUPPRESS)


def _install(arguments: argparse.Namespace) -> int:
    from twinroot.agent.errors import ServicingError
    from twinroot.agent.servicing.install import MULTIBOOT_DATASTORE, check_may_install, install, is_installer
    from twinroot.errors import ConfigError

    def perform(agent: Agent) -> tuple[ServicingError | None, Report]:
        multiboot = arguments.multiboot
        try:
            config = _config(arguments, None)
        except ConfigError as mistake:
            if os.geteuid() == 0 and is_installer(multiboot=multiboot):
                try:
                    _serviced(agent, _raising(mistake), installing=True)
                except (ServicingError, OSError) as error:
                    log.warning("The status does not tell of the wrong configuration: %s", error)
            raise

        def work(agent: Agent, ledger: Ledger) -> Result:
            return install(agent, ledger, config, _allowed(arguments), multiboot=multiboot)

        return _serviced(agent, work, installing=True, guard=lambda: check_may_install(config, multiboot=multiboot))

    datastore = MULTIBOOT_DATASTORE if arguments.multiboot else None
    return run_servicing(arguments, "the machine was not installed", perform, datastore=datastore)


def _raising(mistake: Exception) -> Work:
    """A command that can only fail, so that the status tells of it."""

    def work(_agent: Agent, _ledger: Ledger) -> Result:
        raise mistake

    return work


def _update(arguments: argparse.Namespace) -> int:
    from twinroot.agent.servicing.update import update

    def work(agent: Agent, ledger: Ledger) -> Result:
        finalize_only = arguments.allowed_operations == ("finalize",)
        stored = ledger.status.spec
        config = stored if finalize_only and not arguments.config.exists() else _config(arguments, stored)
        return update(agent, ledger, config, _allowed(arguments))

    return _run(arguments, "the machine was not updated", work)


def _commit(arguments: argparse.Namespace) -> int:
    from twinroot.agent.servicing.commit import commit

    return _run(arguments, "the system that runs was not committed", commit, absent=True)


def _rollback(arguments: argparse.Namespace) -> int:
    from twinroot.agent.servicing.roll_back import roll_back

    if arguments.check:
        return run_command(arguments, "it cannot be said", lambda _emit: _check_rollback(arguments), failed=FAILED)
    return _run(
        arguments,
        "the machine was not rolled back",
        lambda agent, ledger: roll_back(agent, ledger, arguments.kind, _allowed(arguments)),
    )


def _check_rollback(arguments: argparse.Namespace) -> Show:
    from twinroot.agent.agent_config import read_datastore_path
    from twinroot.agent.datastore import Datastore
    from twinroot.agent.rollback import chosen, rollback_chain

    with Datastore.open(read_datastore_path()) as datastore:
        item = chosen(rollback_chain(datastore.history()), arguments.kind)
    return lambda: print(item.kind if item else "none")


def _allowed(arguments: argparse.Namespace) -> Allowed:
    from twinroot.agent.decide import Allowed

    found = arguments.allowed_operations
    return Allowed("stage" in found, "finalize" in found)


def _config(arguments: argparse.Namespace, stored: HostConfig | None) -> HostConfig:
    """The configuration of the command line; ConfigError when it is wrong, or asks for what is not built yet."""
    from twinroot.config.checks import at_place
    from twinroot.config.host.not_built import unbuilt
    from twinroot.config.load_host import load_host_config
    from twinroot.errors import ConfigError

    loaded = load_host_config(arguments.config, stored=stored)
    report_problems(loaded.warnings, logging.WARNING, arguments.log_format)
    problems = [at_place(loaded.document, finding) for finding in unbuilt(loaded.config)]
    if problems:
        raise ConfigError(problems)
    return loaded.config


def _run(arguments: argparse.Namespace, failure: str, work: Work, *, absent: bool = False) -> int:
    """Run a command that changes the machine's status, too.

    `absent`: it has nothing to do on a machine without a datastore, such as one that was started from an image.
    """
    from twinroot.agent.remote.report import Report

    def perform(agent: Agent) -> tuple[ServicingError | None, Report]:
        if absent and not agent.datastore.exists():
            from twinroot.agent.servicing.commit import without_status

            without_status(agent)
            return None, Report()
        return _serviced(agent, work)

    return run_servicing(arguments, failure, perform)


def run_servicing(
    arguments: argparse.Namespace, failure: str, perform: Perform, *, datastore: Path | None = None
) -> int:
    """Run a command that changes the machine, write the files that were asked for, restart where that is due."""
    from twinroot.agent.remote.report import Report

    report = Report()
    agent: Agent | None = None

    def guarded(emit: Emit) -> None:
        nonlocal report, agent
        from twinroot.agent.servicing.agent import Agent, as_servicing_error
        from twinroot.agent.servicing.container import refuse_container

        try:
            agent = Agent(emit=emit, log_file=arguments.log_file)
            agent = agent if datastore is None else replace(agent, datastore=datastore)
            with _files(arguments, agent):
                refuse_container(os.environ)
                error, report = perform(agent)
                if error:
                    raise error
        except Exception as failed:
            found = as_servicing_error(failed)
            report = replace(report, error=found.record(), hint=found.hint)
            if found.name == "panic":
                log.error("A defect of the agent", exc_info=failed)
                raise found from failed
            raise

    if os.geteuid() == 0:
        arguments.log_file, arguments.full_log = LOG_FILE, True
    if arguments.on_behalf:
        arguments.log_format = "agent"
    code = run_command(arguments, failure, guarded, failed=FAILED)
    if agent and report.error:
        _keep_failure(agent)
    if arguments.on_behalf:
        return _tell(arguments.on_behalf, report) or code
    return restart() if report.restart else code


def _keep_failure(agent: Agent) -> None:
    """Keep the log of a command that failed, as the next one begins it anew; that of one that runs is none of ours."""
    from twinroot.agent.kept_logs import FAILED as KIND
    from twinroot.agent.kept_logs import keep_log

    if agent.log_file and agent.datastore.exists() and not agent.another_runs:
        keep_log(agent.log_file, agent.datastore.parent, KIND)


def _tell(path: Path, report: Report) -> int:
    """Write the report; the exit code when that fails, which is a failure for whoever waits for it."""
    try:
        path.write_text(report.text())
    except OSError as error:
        log.critical("%s: what was done cannot be reported: %s", path, error.strerror)
        return FAILED
    return 0


def _serviced(
    agent: Agent, work: Work, *, installing: bool = False, guard: Callable[[], None] = lambda: None
) -> tuple[ServicingError | None, Report]:
    """Do the work; its error, which a machine that has to start anew may have as well, and what it did."""
    from twinroot.agent.servicing.agent import service

    reports: list[Report] = []

    def observed(ledger: Ledger) -> Result:
        result = work(agent, ledger)
        reports.append(_report(ledger, result))
        return result

    return service(agent, observed, installing=installing, guard=guard).error, reports[0]


def _report(ledger: Ledger, result: Result) -> Report:
    """What a command did; its error comes later, as that of a command that did nothing does."""
    from twinroot.agent.remote.report import Report, known_hash, servicing_kind
    from twinroot.agent.servicing.agent import Outcome

    image = ledger.status.spec.image
    return Report(
        restart=result.outcome is Outcome.REBOOT,
        kind=servicing_kind(ledger.began, ledger.moves),
        image_sha384=known_hash(image.sha384) if image else None,
    )


@contextmanager
def _files(arguments: argparse.Namespace, agent: Agent) -> Iterator[None]:
    """Write the status, and the error where there is one, when the block has ended."""
    from twinroot.agent.errors import ServicingError
    from twinroot.agent.servicing.agent import as_servicing_error
    from twinroot.errors import TwinrootError
    from twinroot.output.files import check_output

    for path in filter(None, (arguments.status, arguments.error)):
        try:
            check_output(path)
        except TwinrootError as error:
            raise ServicingError("write-output-file", f"{path}: {error.message}", hint=error.hint) from error
    failed = False
    try:
        yield
    except Exception as error:
        failed = True
        _write_error(arguments.error, as_servicing_error(error))
        raise
    finally:
        try:
            _write_status(arguments.status, agent)
        except (TwinrootError, OSError) as error:
            if not failed:
                raise
            log.warning("%s: the status was not written: %s", arguments.status, as_servicing_error(error).message)


def _write_error(path: Path | None, error: ServicingError) -> None:
    from twinroot.config.host.normal import to_yaml
    from twinroot.output.files import replacing

    if path:
        with replacing(path) as partial:
            partial.write_text(to_yaml(error.record()), errors="backslashreplace")


def _write_status(path: Path | None, agent: Agent) -> None:
    from twinroot.agent.datastore import Datastore
    from twinroot.agent.host_status import HostStatus, plain_status
    from twinroot.config.host.normal import to_yaml
    from twinroot.output.files import replacing

    if not path:
        return
    status = HostStatus()
    if agent.datastore.exists():
        with Datastore.open(agent.datastore) as datastore:
            status = datastore.status() or status
    with replacing(path) as partial:
        partial.write_text(to_yaml(plain_status(status)))


def restart(*, asked: bool = False) -> int:
    """Restart the machine; the exit code when it does not come. `asked`: somebody else has it restarted already."""
    from twinroot.errors import TwinrootError
    from twinroot.tools.systemctl import reboot

    log.info("Waiting for the restart of the machine" if asked else "Restarting the machine")
    try:
        if not asked:
            os.sync()
            reboot()
        time.sleep(_PATIENCE)
        log.critical("The restart did not come within %d s", _PATIENCE)
    except TwinrootError as error:
        log.critical("The machine cannot be restarted: %s", error)
    except KeyboardInterrupt:
        return 0  # The restart ends us as well.
    return NOT_RESTARTED
