"""`trident`: the agent's command line, as the peer has it (servicing spec, section 1)."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from twinroot import __version__
from twinroot.cli import daemon, grpc_client, offline_initialize, servicing, stream_disk
from twinroot.cli.arguments import Parser
from twinroot.cli.frame import Show, report_problems, run_command
from twinroot.errors import UsageError
from twinroot.events import Emit

if TYPE_CHECKING:
    from twinroot.agent.datastore import Datastore

    # Has no public name, and takes types only for checkers.
    Commands = argparse._SubParsersAction[Parser]

log = logging.getLogger("twinroot.cli")

FAILED = 2
"""The exit code for any error of a command, a wrong command line among them; 1 is for a failure to log."""

DEFAULT_CONFIG = Path("/etc/trident/config.yaml")
KINDS = ("status", "configuration", "last-error", "rollback-chain", "rollback-target")
LEVELS = ("off", "error", "warn", "info", "debug", "trace")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code (2 for a wrong command line, and for a defect of ours)."""
    arguments = build_parser().parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except Exception:
        log.exception("This is a defect of the agent; please report it")
        return FAILED


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = Parser(prog="trident", description="Install an OS image on this machine and keep it up to date.")
    parser.add_argument("-V", "--version", action="version", version=f"trident {__version__}", help="show the version")
    _add_global_flags(parser, top=True)
    parser.set_defaults(log_format="text", log_color="auto", log_file=None)
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)
    summary = "say whether a host configuration is right"
    command = commands.add_parser(
        "validate",
        help=summary,
        description="Say whether a host configuration is right. Nothing on the machine is read.",
    )
    _add_config(command)
    _add_global_flags(command, top=False)
    command.set_defaults(run=_run_validate)
    for name, summary, add in (
        ("install", "install the OS image of a host configuration on this machine", servicing.add_install),
        ("update", "bring this machine to another host configuration", servicing.add_update),
    ):
        command = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        _add_config(command)
        add(command)
        _add_global_flags(command, top=False)
    for name, summary, add in (
        ("commit", "after a restart: keep the system that runs, or notice that it failed", servicing.add_commit),
        ("rollback", "go back to what there was before the last update", servicing.add_rollback),
    ):
        command = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        add(command)
        _add_global_flags(command, top=False)
    summary = "print the status of this machine, or a part of it"
    text = "Print what is known about this machine, as YAML. The status is meant when nothing is named."
    command = commands.add_parser("get", help=summary, description=text)
    command.add_argument("kind", nargs="?", choices=KINDS, default="status", help="what to print (default: status)")
    command.add_argument("-o", "--outfile", type=Path, metavar="FILE", help="write it to a file instead")
    _add_global_flags(command, top=False)
    command.set_defaults(run=_run_get)
    offline_initialize.add(commands, lambda parser: _add_global_flags(parser, top=False))
    stream_disk.add(commands, lambda parser: _add_global_flags(parser, top=False))
    _add_diagnose(commands)
    _add_start_network(commands)
    daemon.add(commands, lambda parser: _add_global_flags(parser, top=False))
    grpc_client.add(commands, lambda parser: _add_global_flags(parser, top=False))
    _add_rebuild_raid(commands)
    return parser


def _add_diagnose(commands: Commands) -> None:
    summary = "collect what tells of a fault of this machine"
    text = "Write logs, datastores and a description of this machine into one file, for whoever looks for a fault."
    command = commands.add_parser("diagnose", help=summary, description=text)
    command.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="the file (tar, zstd)")
    command.add_argument("--journal", action="store_true", help="add the whole journal")
    command.add_argument("--selinux", action="store_true", help="add the audit log")
    _add_global_flags(command, top=False)
    command.set_defaults(run=_run_diagnose)


def _add_start_network(commands: Commands) -> None:
    """Hidden, as that of the peer: a unit calls it."""
    text = "Start the network of `managementOs.netplan`, or else of `os.netplan`, in the running system."
    command = commands.add_parser("start-network", description=text)
    _add_config(command)
    _add_global_flags(command, top=False)
    command.set_defaults(run=_run_start_network)


def _add_rebuild_raid(commands: Commands) -> None:
    """Hidden, as it is refused whatever follows its name."""
    command = commands.add_parser("rebuild-raid", add_help=False, prefix_chars="\0")
    command.add_argument("rest", nargs="*")
    command.set_defaults(run=_run_rebuild_raid)


def _add_config(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "config", type=Path, nargs="?", default=DEFAULT_CONFIG, metavar="CONFIG",
        help=f"the host configuration (default: {DEFAULT_CONFIG})",
    )  # fmt: skip


def _add_global_flags(parser: argparse.ArgumentParser, *, top: bool) -> None:
    """Below the top they have no default, so as not to hide what stood before."""
    parser.add_argument(
        "-v", "--verbosity", dest="log_level", type=str.lower, choices=LEVELS, metavar="LEVEL",
        default="debug" if top else argparse.SUPPRESS,
        help=f"what to report on standard error: {', '.join(LEVELS).upper()} (default: DEBUG)",
    )  # fmt: skip


def _run_validate(arguments: argparse.Namespace) -> int:
    from twinroot.config.load_host import load_host_config

    def work(_emit: Emit) -> None:
        loaded = load_host_config(arguments.config)
        report_problems(loaded.warnings, logging.WARNING, arguments.log_format)
        log.info("Host Configuration is valid: %s", arguments.config)

    return run_command(arguments, "Host Configuration is not valid", work, failed=FAILED)


def _run_rebuild_raid(arguments: argparse.Namespace) -> int:
    def work(_emit: Emit) -> None:
        raise UsageError("RAID arrays are not built yet in this version of twinroot", hint="use mdadm")

    return run_command(arguments, "unimplemented command", work, failed=FAILED)


def _run_get(arguments: argparse.Namespace) -> int:
    return run_command(arguments, "the status cannot be read", lambda _emit: _get(arguments), failed=FAILED)


def _get(arguments: argparse.Namespace) -> Show | None:
    from twinroot.agent.agent_config import read_datastore_path
    from twinroot.agent.datastore import Datastore

    if arguments.outfile:
        from twinroot.output.files import check_output, replacing

        check_output(arguments.outfile)
    with Datastore.open(read_datastore_path()) as datastore:
        text = _report(arguments.kind, datastore)
    if not arguments.outfile:
        return lambda: print(text, end="")
    with replacing(arguments.outfile) as partial:
        partial.write_text(text)
    return None


def _report(kind: str, datastore: Datastore) -> str:
    from twinroot.agent.stored import is_as_printed

    stored = datastore.text() if kind == "status" else None
    if stored is not None and is_as_printed(stored):
        return stored
    from twinroot.agent.report import report
    from twinroot.config.host.normal import to_yaml

    text = to_yaml(report(kind, datastore.status(), datastore.history()))
    return text.removesuffix("...\n")  # the end of a document that is one scalar


def _run_diagnose(arguments: argparse.Namespace) -> int:
    from twinroot.agent.diagnose import write_bundle
    from twinroot.output.files import check_output, replacing

    def work(_emit: Emit) -> None:
        check_output(arguments.output)
        with replacing(arguments.output) as partial:
            found = write_bundle(
                partial, version=__version__, full_journal=arguments.journal, selinux=arguments.selinux
            )
        for failure in found.failures:
            log.debug("not collected: %s: %s", failure["item"], failure["error"])
        log.info("Wrote %s with %d files", arguments.output, len(found.files))

    return run_command(arguments, "the diagnostics cannot be written", work, failed=FAILED)


def _run_start_network(arguments: argparse.Namespace) -> int:
    from twinroot.agent.agent_config import read_datastore_path
    from twinroot.agent.start_network import is_installed, start_network
    from twinroot.config.load_host import load_host_config

    def work(_emit: Emit) -> None:
        if is_installed(read_datastore_path()):
            log.info("Nothing to do: the network of this machine is that of its status, and is changed by an update")
            return
        loaded = load_host_config(arguments.config)
        report_problems(loaded.warnings, logging.WARNING, arguments.log_format)
        if not start_network(loaded.config):
            log.info("%s has no network for this system; nothing was changed", arguments.config)

    return run_command(arguments, "the network was not started", work, failed=FAILED)


if __name__ == "__main__":
    sys.exit(main())
