"""`os.users` and `os.groups` (image-config spec, section 4.17)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema, model_validator

from twinroot.config.problems import Finding, quoted
from twinroot.config.scalars import Between, NonEmptyStr, OptionalStr, ScalarError, from_text, non_empty
from twinroot.config.section import Section

MAX_ID = 60000
MAX_NAME = 32

PasswordType = Literal["locked", "plain-text", "hashed", "plain-text-file", "hashed-file"]
Id = Annotated[int | None, Between(0, MAX_ID)]


def account_name(text: str) -> str:
    """A name of a user or a group that shadow-utils of some distribution may take; the image's has the last word.

    Upstream allows few characters more than letters, digits, `.`, `_` and `-`; Debian's patch whatever is no danger to
    the files and command lines that names appear in. Both allow 32 bytes.
    """
    non_empty(text)
    if len(text.encode(errors="surrogatepass")) > MAX_NAME:
        raise ScalarError(f"the name {quoted(text)} is too long", f"at most {MAX_NAME} bytes fit")
    if text in (".", "..") or text[0] in "-+~" or re.search(r"[\s:,/\x00-\x20\x7f]", text):
        hint = "use letters, digits, '.', '_' and '-', not beginning with '-'"
        raise ScalarError(f"{quoted(text)} is no name for a user or a group", hint)
    return text


def path_in_passwd(text: str) -> str | None:
    """An absolute path as a line of /etc/passwd can hold it; None for empty text."""
    if not text:
        return None
    if not text.startswith("/"):
        raise ScalarError(f"the path {quoted(text)} must be absolute", "write a path that begins with /")
    if re.search(r"[:\x00-\x1f\x7f]", text):
        raise ScalarError(f"the path {quoted(text)} may not contain ':' and control characters")
    if ".." in text.split("/"):
        raise ScalarError(f"the path {quoted(text)} may not contain '..'")
    return text


AccountName = Annotated[
    str,
    from_text(account_name),
    WithJsonSchema({"type": ["string", "number"], "pattern": "^[^-+~:,/ ][^:,/ ]*$", "maxLength": MAX_NAME}),
]
PathInPasswd = Annotated[
    str | None, from_text(path_in_passwd), WithJsonSchema({"type": "string", "pattern": "^(/[^:]*)?$"})
]


class Group(Section):
    """A group to create."""

    name: AccountName = Field(description="Name of the group.")
    gid: Id = Field(default=None, description="Group id. Not for a group that exists already.")


class Password(Section):
    """How a user logs in with a password."""

    type: PasswordType = Field(
        description="`locked` for none; `plain-text` and `hashed` (as crypt(3) has it) with the value here, the forms "
        "with `-file` with a file that holds it."
    )
    value: OptionalStr = Field(
        default=None,
        repr=False,
        description="The password, its hash, or the path of the file, relative to the directory of this "
        "configuration file. Not for `locked`.",
    )

    @model_validator(mode="before")
    @classmethod
    def _without_showing(cls, data: Any) -> Any:
        """Reject a single value, which may be the password itself, without repeating it."""
        if isinstance(data, str):
            raise ScalarError(
                "expected a mapping (lines of 'key: value'), found a single value", "write it as 'type' and 'value'"
            )
        return data

    def check(self) -> Iterator[Finding]:
        """A value exactly where one is used; it is never shown."""
        if self.type == "locked" and self.value is not None:
            yield Finding(
                ("type",), "a locked password may not have a 'value'", "remove the value, or use another type"
            )
        elif self.type != "locked" and self.value is None:
            yield Finding((), f"a password of type {self.type} needs a 'value'")


class User(Section):
    """A user to create, or to change where there is one of this name."""

    name: AccountName = Field(description="Name of the user.")
    uid: Id = Field(default=None, description="User id. Not for a user that exists already.")
    password: Password | None = Field(default=None, description="Password. Without it a new user has none.")
    password_expires_days: Annotated[int | None, Between(-1, 99999)] = Field(
        default=None, description="Days until the password expires; -1 for never."
    )
    ssh_public_key_paths: tuple[NonEmptyStr, ...] = Field(
        default=(), description="Files of SSH public keys, relative to the directory of this configuration file."
    )
    ssh_public_keys: tuple[NonEmptyStr, ...] = Field(default=(), description="SSH public keys.")
    primary_group: OptionalStr = Field(default=None, description="Primary group; it must exist.")
    secondary_groups: tuple[NonEmptyStr, ...] = Field(
        default=(), description="Further groups, added to those there are."
    )
    startup_command: PathInPasswd = Field(default=None, description="Login shell, an absolute path.")
    home_directory: PathInPasswd = Field(
        default=None, description="Home directory. Not for a user that exists already."
    )
