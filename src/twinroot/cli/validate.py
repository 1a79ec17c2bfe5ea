"""`validate-config` of the peer, and `config check`: is a configuration right, without running anything."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from twinroot.cli import registry_flags
from twinroot.cli.arguments import add_global_flags, split_list
from twinroot.cli.frame import Show, report_problems, run_command
from twinroot.errors import ConfigError, Problem, TwinrootError, UsageError
from twinroot.events import Emit

if TYPE_CHECKING:
    from twinroot.config.load import ReadConfig

log = logging.getLogger("twinroot.cli")

RESOURCES = ("files", "oci", "all")


def add_compatible_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `imagecustomizer validate-config` (image config spec §11.6)."""
    parser.add_argument("--config-file", type=Path, required=True, metavar="FILE", help="the image configuration")
    _add_resource_flags(parser)
    parser.set_defaults(language="image", guess=True)
    add_global_flags(parser, top=False)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `twinroot config check`."""
    parser.add_argument(
        "files", type=Path, nargs="+", metavar="FILE",
        help="an image configuration, a host configuration, or one of inject-files",
    )  # fmt: skip
    parser.add_argument(
        "--language", choices=("image", "host", "inject-files"),
        help="what the files are (default: what their keys are of)",
    )  # fmt: skip
    _add_resource_flags(parser)
    parser.set_defaults(guess=False)  # the language is chosen by the keys, or by whoever knows better
    add_global_flags(parser, top=False)


def _add_resource_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--validate-resources", action="append", metavar="LIST",
        help="also look for what the configuration names: files, oci (images in registries), all; may be repeated",
    )  # fmt: skip
    parser.add_argument("--build-dir", type=Path, metavar="DIR", help="scratch space; required for oci and all")
    registry_flags.add_access_flags(parser)
    registry_flags.add_trust_flags(parser)


def run_compatible(arguments: argparse.Namespace) -> int:
    """Validate one file as the peer does; the exit code."""

    def work(_emit: Emit) -> None:
        _validate([arguments.config_file], arguments)
        log.info("Config validation succeeded")

    return run_command(arguments, "config validation failed", work)


def run(arguments: argparse.Namespace) -> int:
    """Check files; the exit code."""

    def work(_emit: Emit) -> Show:
        _validate(arguments.files, arguments)
        return lambda: print("\n".join(f"{file}: valid" for file in arguments.files))

    return run_command(arguments, "config check failed", work)


def _validate(files: Iterable[Path], arguments: argparse.Namespace) -> None:
    """ConfigError with the problems of all files."""
    resources = _resources(arguments)
    problems: list[Problem] = []
    for file in files:
        try:
            problems += _problems(file, resources, arguments)
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)


def _resources(arguments: argparse.Namespace) -> frozenset[str]:
    wanted = split_list(arguments.validate_resources)
    for name in wanted:
        if name not in RESOURCES:
            raise UsageError(f"--validate-resources {name}: use {', '.join(RESOURCES)}")
    found = frozenset(wanted)
    if found & {"oci", "all"} and arguments.build_dir is None:
        raise UsageError("--validate-resources oci and all need scratch space", hint="add --build-dir DIR")
    return found | {"files", "oci"} if "all" in found else found


def _problems(file: Path, resources: frozenset[str], arguments: argparse.Namespace) -> list[Problem]:
    from twinroot.config.languages import language_of
    from twinroot.config.load import read_image_config
    from twinroot.config.load_host import load_host_config
    from twinroot.config.load_inject_files import load_inject_files
    from twinroot.config.resources import resource_problems
    from twinroot.config.yaml import read_document

    language = arguments.language or language_of(read_document(file))
    if language == "inject-files":
        report_problems(load_inject_files(file).warnings, logging.WARNING, arguments.log_format)
        return []
    if language == "host":
        report_problems(load_host_config(file, guess=False).warnings, logging.WARNING, arguments.log_format)
        return []
    read = read_image_config(file, guess=arguments.guess)
    report_problems(read.warnings, logging.WARNING, arguments.log_format)
    problems = resource_problems(read, input_and_output=True) if "files" in resources else []
    return [*read.problems, *problems, *(_registry_problems(read, arguments) if "oci" in resources else ())]


def _registry_problems(read: ReadConfig, arguments: argparse.Namespace) -> list[Problem]:
    """What is wrong with a base image in a registry: there is none, none for the platform, or none that is signed."""
    from twinroot.config.problems import Finding
    from twinroot.config.section import UnreadableError
    from twinroot.registry.client import Client
    from twinroot.registry.pull import files_of
    from twinroot.registry.resolve import resolve
    from twinroot.registry.source import disk_image_of, from_config
    from twinroot.registry.trust import policy_for

    image = None
    with suppress(UnreadableError):  # its mistake is told already
        image = from_config(read.config.input.image)
    if image is None:
        return []
    try:
        policy = policy_for(image.reference, registry_flags.trust(arguments), azure_linux=image.azure_linux)
        with Client(image.reference, registry_flags.access(arguments)) as client:
            resolved = resolve(client, image.platform)
            where = str(image.reference)
            disk_image_of(files_of(resolved, where), where)
            if policy:
                from twinroot.registry.notation.signatures import check_signatures

                check_signatures(client, resolved, policy)
    except TwinrootError as error:
        key = "azureLinux" if image.azure_linux else "oci"
        message = f"{error.where}: {error.message}" if error.where else error.message
        return read.placed([Finding(("input", "image", key), message, error.hint)])
    log.info("%s is %s", image.reference, resolved.descriptor.digest)
    return []
