"""Base images that lie in a registry: what command line and configuration say about them. Pure.

Image config spec, sections 4.2 and 11.2 (`--image`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from twinroot.config.image.input import InputImage, azure_linux_variant, azure_linux_version, oci_reference
from twinroot.config.registry_reference import Reference, azure_linux_reference, parse_reference
from twinroot.config.scalars import ScalarError
from twinroot.errors import InputError
from twinroot.registry.manifest import Descriptor, Platform, host_platform

# Names that disk images in a registry end in (image behaviour spec, section 34).
SUFFIXES = (".vhdx", ".vhd", ".qcow2", ".img", ".raw")


@dataclass(frozen=True)
class RegistryImage:
    """An image in a registry. `azure_linux`: one that was asked for as such, and must be signed by Microsoft."""

    reference: Reference
    platform: Platform | None = None
    azure_linux: bool = False


def from_specification(text: str) -> RegistryImage:
    """`oci:REFERENCE` or `azurelinux:VARIANT:VERSION`, as `--image` takes them."""
    kind, _, rest = text.partition(":")
    try:
        if kind == "oci":
            return RegistryImage(_reference(rest))
        if kind == "azurelinux" and rest.count(":") == 1:
            variant, version = rest.split(":")
            reference = azure_linux_reference(azure_linux_variant(variant), azure_linux_version(version))
            return RegistryImage(reference, azure_linux=True)
    except ScalarError as error:
        raise InputError(f"--image {text}: {error.message}", hint=error.hint) from error
    hint = "write oci:HOST/REPOSITORY:TAG or azurelinux:VARIANT:VERSION, for example azurelinux:minimal-os:3.0"
    raise InputError(f"--image {text}: this names no image", hint=hint)


def from_config(image: InputImage) -> RegistryImage | None:
    """What `input.image` says; None when it is a file or nothing."""
    if image.azure_linux:
        reference = azure_linux_reference(image.azure_linux.variant, image.azure_linux.version)
        return RegistryImage(reference, azure_linux=True)
    if image.oci:
        wanted, here = image.oci.platform, host_platform()
        platform = Platform(wanted.os or here.os, wanted.architecture or here.architecture) if wanted else None
        return RegistryImage(_reference(image.oci.uri), platform)
    return None


def disk_image_of(files: Mapping[str, Descriptor], where: str) -> str:
    """The name of the one disk image among the files of an artifact; InputError when there is none or are several."""
    found = [name for name in files if PurePosixPath(name).suffix.lower() in SUFFIXES]
    if len(found) != 1:
        what = f"has {len(found)} disk images ({', '.join(found)[:200]})" if found else "has no disk image"
        raise InputError(
            f"the artifact {what}, one is wanted",
            where=where,
            hint=f"a disk image is a file whose name ends in {', '.join(SUFFIXES)}",
        )
    return found[0]


def _reference(text: str) -> Reference:
    reference = parse_reference(oci_reference(text))
    assert reference is not None  # oci_reference has seen to it
    return reference
