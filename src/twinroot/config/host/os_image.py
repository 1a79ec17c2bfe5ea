"""`image`: the OS image to deploy (host-config spec, section 3)."""

from __future__ import annotations

from pydantic import Field

from twinroot.config.host.scalars import ImageSha384, Url
from twinroot.config.section import Section


class OsImage(Section):
    """The COSI file to deploy."""

    url: Url = Field(description="Where it is: a URL with the scheme `file`, `http`, `https` or `oci`.")
    sha384: ImageSha384 = Field(
        description="SHA-384 of the file's `metadata.json`, which holds the hashes of all images, or `ignored`."
    )
