"""`users` of the target OS and of the management OS (host-config spec, section 7.3)."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, WithJsonSchema, model_validator

from twinroot.config.host.scalars import AbsolutePath
from twinroot.config.problems import quoted
from twinroot.config.scalars import Between, ScalarError, from_text
from twinroot.config.section import Section

_MAX_ID = 2**31 - 1


def account_name(text: str) -> str:
    """A name that /etc/passwd can hold and that no program takes for an option."""
    if not re.fullmatch(r"[^-:/,\s\x00-\x20\x7f][^:/,\s\x00-\x20\x7f]{0,255}", text):
        raise ScalarError(f"{quoted(text)} is not a name of a user or group", "use letters, digits, '-' and '_'")
    return text


def passwd_field(text: str) -> str:
    """A value that /etc/passwd can hold."""
    if not text or re.search(r"[:\n\r\0]", text):
        raise ScalarError(f"{quoted(text)} may not be empty or contain ':' and line breaks")
    return text


def one_line(text: str) -> str:
    """Text on one line: each key of authorized_keys is one."""
    if not text.strip() or re.search(r"[\n\r\0]", text.strip()):
        raise ScalarError("an SSH public key is one line of text")
    return text.strip()


AccountName = Annotated[str, from_text(account_name), WithJsonSchema({"type": ["string", "number"], "minLength": 1})]


class Password(Section):
    """How a user logs in with a password: not at all."""

    always_written: ClassVar[frozenset[str]] = frozenset(("type",))

    type: Literal["locked"] = Field(
        description="`locked`: a new user has no password; one that is there keeps his. Passwords do not belong in "
        "host configurations; use `sshPublicKeys`."
    )

    @model_validator(mode="before")
    @classmethod
    def _without_showing(cls, data: Any) -> Any:
        """Reject a single value, which may be the password itself, without repeating it."""
        if isinstance(data, str):
            raise ScalarError("expected a mapping (lines of 'key: value'), found a single value", "write type: locked")
        return data


class User(Section):
    """A user to create, or to change where there is one of this name."""

    always_written: ClassVar[frozenset[str]] = frozenset(("name",))

    name: AccountName = Field(description="Name of the user.")
    password: Password = Field(
        default_factory=lambda: Password(type="locked"), description="Password. The default is `locked`."
    )
    uid: Annotated[int | None, Between(0, _MAX_ID)] = Field(default=None, description="User id. Only for a new user.")
    primary_group: AccountName | None = Field(default=None, description="Primary group; it must exist.")
    secondary_groups: tuple[AccountName, ...] = Field(
        default=(), description="Further groups, added to those there are."
    )
    ssh_public_keys: tuple[Annotated[str, from_text(one_line), WithJsonSchema({"type": "string"})], ...] = Field(
        default=(), description="SSH public keys, added to `~/.ssh/authorized_keys`."
    )
    ssh_mode: Literal["block", "key-only"] = Field(
        default="block", description="Whether the user may log in over SSH: `block`, the default, or `key-only`."
    )
    startup_command: Annotated[str, from_text(passwd_field), WithJsonSchema({"type": "string"})] | None = Field(
        default=None, description="Login shell."
    )
    home_directory: Annotated[AbsolutePath, from_text(passwd_field)] | None = Field(
        default=None, description="Home directory. Only for a new user."
    )
