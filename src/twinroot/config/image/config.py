"""The top level of an image configuration (image-config spec, section 4.1)."""

from __future__ import annotations

from pydantic import Field

from twinroot.config.image.base_configs import BaseConfig
from twinroot.config.image.input import Input
from twinroot.config.image.live_media import Iso, Pxe
from twinroot.config.image.os import Os
from twinroot.config.image.output import Output
from twinroot.config.image.preview_features import PreviewFeature
from twinroot.config.image.scripts import Scripts
from twinroot.config.image.storage import Storage
from twinroot.config.section import Section


class ImageConfig(Section):
    """An image configuration: what the image is made from, how it changes, what is written."""

    input: Input = Field(default_factory=Input, description="Base image.")
    storage: Storage = Field(default_factory=Storage, description="Partitions and file systems.")
    os: Os | None = Field(
        default=None, description="Content of the operating system. `os: {}` asks for customisation without changes."
    )
    preview_features: tuple[PreviewFeature, ...] = Field(
        default=(), description="Names of preview features that this configuration uses."
    )
    output: Output = Field(default_factory=Output, description="Output image.")
    iso: Iso | None = Field(default=None, description="Settings for ISO output.")
    pxe: Pxe | None = Field(default=None, description="Settings for PXE output.")
    scripts: Scripts = Field(default_factory=Scripts, description="Scripts that run inside the image.")
    base_configs: tuple[BaseConfig, ...] | None = Field(
        default=None,
        description="Configurations that this one builds upon; they count before it. Needs the preview feature "
        "`base-configs`.",
    )
