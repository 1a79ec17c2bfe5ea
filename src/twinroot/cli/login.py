"""`twinroot login` and `twinroot logout`: credentials for a registry."""

from __future__ import annotations

import argparse
import getpass
import logging
import re
import sys
from pathlib import Path

from twinroot.cli import registry_flags
from twinroot.cli.arguments import add_global_flags
from twinroot.cli.frame import run_command
from twinroot.errors import InputError

log = logging.getLogger("twinroot.cli")

_REGISTRY = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?")
_LONGEST_SECRET = 1 << 16


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `twinroot login`."""
    parser.add_argument("registry", metavar="REGISTRY", help="HOST or HOST:PORT")
    parser.add_argument("-u", "--username", metavar="NAME", help="who you are there (default: asked for)")
    secret = parser.add_mutually_exclusive_group()
    secret.add_argument(
        "--password-stdin", action="store_true", help="read the password or token from standard input, not the terminal"
    )
    secret.add_argument(
        "--identity-token-stdin", action="store_true",
        help="read a refresh token, which stands for user and password, from standard input",
    )  # fmt: skip
    registry_flags.add_access_flags(parser)
    add_global_flags(parser, top=False)


def run(arguments: argparse.Namespace) -> int:
    """Log in; the exit code."""
    return run_command(arguments, "not logged in", lambda _emit: _login(arguments))


def add_logout_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `twinroot logout`."""
    parser.add_argument("registry", metavar="REGISTRY", help="HOST or HOST:PORT")
    parser.add_argument(
        "--registry-config", type=Path, metavar="FILE",
        help="the file with credentials, in place of those that docker and podman use",
    )  # fmt: skip
    add_global_flags(parser, top=False)


def run_logout(arguments: argparse.Namespace) -> int:
    """Log out; the exit code."""
    return run_command(arguments, "not logged out", lambda _emit: _logout(arguments))


def _login(arguments: argparse.Namespace) -> None:
    from twinroot.registry.credentials import Credentials
    from twinroot.registry.login import log_in

    registry = _registry(arguments.registry)
    if arguments.identity_token_stdin:
        credentials = Credentials(identity_token=_from_stdin())
    else:
        username = arguments.username or _ask("Username: ")
        if not username or ":" in username:
            raise InputError("a user name is wanted, without a colon", hint="add --username NAME")
        password = _from_stdin() if arguments.password_stdin else _ask("Password: ", hidden=True)
        credentials = Credentials(username, password)
    where = log_in(registry, credentials, registry_flags.access(arguments))
    log.info("Logged in to %s; the credentials are kept in %s", registry, where)


def _logout(arguments: argparse.Namespace) -> None:
    from twinroot.registry.credentials import remove_credentials

    registry = _registry(arguments.registry)
    places = remove_credentials(registry, arguments.registry_config)
    if not places:
        log.info("Nobody is logged in to %s", registry)
    for place in places:
        log.info("Removed the credentials for %s from %s", registry, place)


def _registry(text: str) -> str:
    if not _REGISTRY.fullmatch(text):
        raise InputError(
            f"{text!r} is not a registry", hint="write HOST or HOST:PORT, for example registry.example.com"
        )
    return text


def _ask(prompt: str, *, hidden: bool = False) -> str:
    if not sys.stdin.isatty():
        raise InputError("there is no terminal to ask on", hint="use --username and --password-stdin")
    try:
        if hidden:
            return getpass.getpass(prompt)
        print(prompt, end="", file=sys.stderr, flush=True)
        return sys.stdin.readline().rstrip("\n")
    except EOFError:
        return ""


def _from_stdin() -> str:
    text = sys.stdin.read(_LONGEST_SECRET + 1)
    secret = text.removesuffix("\n").removesuffix("\r")
    if not secret or len(text) > _LONGEST_SECRET or "\n" in secret:
        raise InputError("standard input holds no password: one line is wanted")
    return secret
