"""`os.sysexts` and `os.confexts`: extension images of systemd (host-config spec, section 7.8)."""

from __future__ import annotations

from collections.abc import Iterator
from posixpath import basename, dirname
from typing import ClassVar

from pydantic import Field

from twinroot.config.host.scalars import ExtensionPath, Sha384, Url, usual_spelling
from twinroot.config.problems import Finding, one_of, quoted
from twinroot.config.section import Section


class Extension(Section):
    """An extension image."""

    directories: ClassVar[tuple[str, ...]]
    """Where systemd looks for them."""
    default_directory: ClassVar[str]

    url: Url = Field(description="Where it is: a URL with the scheme `file`, `http`, `https` or `oci`.")
    sha384: Sha384 = Field(description="SHA-384 of the whole file; unique.")
    path: ExtensionPath | None = Field(
        default=None, description="Where to keep it. The default is made of its name; the file must have that name."
    )

    @property
    def directory(self) -> str:
        """The directory it is kept in."""
        return dirname(usual_spelling(self.path)) if self.path else self.default_directory

    def check(self) -> Iterator[Finding]:
        """systemd finds it there."""
        if self.path is None:
            return
        if not self.path.endswith(".raw") or basename(self.path) == ".raw":
            message = f"the path {quoted(self.path)} must end in .raw"
            yield Finding(("path",), message, code="extension-image-invalid-file-extension")
        if self.directory not in self.directories:
            message = f"systemd does not look for such extensions in {quoted(self.directory)}"
            hint = f"use {one_of(self.directories)}"
            yield Finding(("path",), message, hint, code="extension-image-invalid-directory")


class Sysext(Extension):
    """A system extension image, which adds to `/usr` and `/opt`."""

    directories: ClassVar[tuple[str, ...]] = ("/etc/extensions", "/var/lib/extensions", "/.extra/sysext")
    default_directory: ClassVar[str] = "/var/lib/extensions"


class Confext(Extension):
    """A configuration extension image, which adds to `/etc`."""

    directories: ClassVar[tuple[str, ...]] = ("/var/lib/confexts", "/usr/lib/confexts", "/usr/local/lib/confexts")
    default_directory: ClassVar[str] = "/var/lib/confexts"
