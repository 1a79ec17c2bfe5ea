"""`os.users` and `os.groups` (image-config spec, section 4.17)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from twinroot.config.problems import Finding
from twinroot.config.scalars import Between, NonEmptyStr, OptionalStr, ScalarError
from twinroot.config.section import Section

MAX_ID = 60000

PasswordType = Literal["locked", "plain-text", "hashed", "plain-text-file", "hashed-file"]
Id = Annotated[int | None, Between(0, MAX_ID)]


class Group(Section):
    """A group to create."""

    name: NonEmptyStr = Field(description="Name of the group.")
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

    name: NonEmptyStr = Field(description="Name of the user.")
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
    startup_command: OptionalStr = Field(default=None, description="Login shell.")
    home_directory: OptionalStr = Field(default=None, description="Home directory. Not for a user that exists already.")
