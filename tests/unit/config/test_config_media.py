"""`iso` and `pxe`."""

from __future__ import annotations

import pytest
from tests.unit.config.marked import ConfigOf, ProblemsOf, Wrong, assert_one_problem, unmarked

from twinroot.config.image.files import AdditionalFile
from twinroot.config.image.kernel_command_line import KernelCommandLine
from twinroot.config.image.live_media import Iso, Pxe

KDUMP = "previewFeatures: [kdump-boot-files]\n"
WHOLE = (
    "{kernelCommandLine: {extraCommandLine: [rd.info]}, additionalFiles: [{destination: a, content: ''}],"
    " initramfsType: bootstrap, kdumpBootFiles: keep}"
)

RIGHT_ISO: list[tuple[str, Iso | None]] = [
    ("", None),
    ("{}", Iso()),
    ("{initramfsType: '', kdumpBootFiles: '', kernelCommandLine: , additionalFiles: }", Iso()),
    ("{initramfsType: full-os, kdumpBootFiles: none}", Iso(initramfs_type="full-os", kdump_boot_files="none")),
    (
        WHOLE,
        Iso(
            kernel_command_line=KernelCommandLine(extra_command_line=("rd.info",)),
            additional_files=(AdditionalFile(destination="a", content=""),),
            initramfs_type="bootstrap",
            kdump_boot_files="keep",
        ),
    ),
]

RIGHT_PXE: list[tuple[str, Pxe | None]] = [
    ("", None),
    ("{}", Pxe()),
    ("{bootstrapBaseUrl: '', bootstrapFileUrl: ''}", Pxe()),
    ("{initramfsType: full-os, bootstrapFileUrl: ''}", Pxe(initramfs_type="full-os")),
    ("{bootstrapBaseUrl: 'http://a'}", Pxe(bootstrap_base_url="http://a")),
    ("{bootstrapBaseUrl: 'https://a.b:8080/c%20d/', bootstrapFileUrl: ''}",
        Pxe(bootstrap_base_url="https://a.b:8080/c%20d/")),
    ("{bootstrapFileUrl: 'ftp://u@a/b.iso'}", Pxe(bootstrap_file_url="ftp://u@a/b.iso")),
    ("{bootstrapFileUrl: 'nfs://a/b.iso', initramfsType: bootstrap}",
        Pxe(bootstrap_file_url="nfs://a/b.iso", initramfs_type="bootstrap")),
    ("{bootstrapFileUrl: 'tftp://[fe80::1]:69/b.iso'}", Pxe(bootstrap_file_url="tftp://[fe80::1]:69/b.iso")),
    (
        WHOLE,
        Pxe(
            kernel_command_line=KernelCommandLine(extra_command_line=("rd.info",)),
            additional_files=(AdditionalFile(destination="a", content=""),),
            initramfs_type="bootstrap",
            kdump_boot_files="keep",
        ),
    ),
]  # fmt: skip

# `MEDIA` stands for iso and for pxe.
WRONG_BOTH: list[Wrong] = [
    ("MEDIA: «[]", "MEDIA", "expected a mapping"),
    ("MEDIA: {initramfsType: «full}", "MEDIA.initramfsType", "'full' is not allowed here: use bootstrap or full-os"),
    ("MEDIA: {kdumpBootFiles: «yes}", "MEDIA.kdumpBootFiles", "'yes' is not allowed here: use none or keep"),
    ("MEDIA: {kernelCommandLine: «rd.info}", "MEDIA.kernelCommandLine", "expected a mapping"),
    ("MEDIA: {kernelCommandLine: {extraCommandLine: «rd.info}}", "MEDIA.kernelCommandLine.extraCommandLine",
        "expected a list"),
    ("MEDIA: {kernelCommandLine: {extraCommandLine: [a, «'']}}", "MEDIA.kernelCommandLine.extraCommandLine[1]",
        "the value may not be empty"),
    ("MEDIA: {kernelCommandLine: {extraCommandLine: [«\"a\\nb\"]}}", "MEDIA.kernelCommandLine.extraCommandLine[0]",
        "a kernel argument may not contain a line break"),
    ("MEDIA: {additionalFiles: [«{destination: a}]}", "MEDIA.additionalFiles[0]",
        "a file needs either 'source' or 'content'"),
    ("MEDIA: {additionalFiles: [{destination: a, content: b, permissions: «8}]}",
        "MEDIA.additionalFiles[0].permissions", "'8' are not permissions"),
    ("MEDIA: {«kernelCommandline: {}}", "MEDIA.kernelCommandline", "unknown key 'kernelCommandline'"),
]  # fmt: skip

WRONG: list[Wrong] = [
    *[(text.replace("MEDIA", media), key.replace("MEDIA", media), message)
        for media in ("iso", "pxe") for text, key, message in WRONG_BOTH],
    ("iso: {«bootstrapBaseUrl: 'http://a'}", "iso.bootstrapBaseUrl", "unknown key 'bootstrapBaseUrl'"),
    ("pxe: {bootstrapBaseUrl: «'torrent://a'}", "pxe.bootstrapBaseUrl", "the URL 'torrent://a' must begin with ftp://"),
    ("pxe: {bootstrapBaseUrl: «a/b}", "pxe.bootstrapBaseUrl", "the URL 'a/b' must begin with ftp://"),
    ("pxe: {bootstrapFileUrl: «'http:/a'}", "pxe.bootstrapFileUrl", "the URL 'http:/a' must begin with ftp://"),
    ("pxe: {bootstrapFileUrl: «'http://'}", "pxe.bootstrapFileUrl", "'http://' is not a URL"),
    ("pxe: {bootstrapFileUrl: «'http:///a'}", "pxe.bootstrapFileUrl", "'http:///a' is not a URL"),
    ("pxe: {bootstrapFileUrl: «'http://:80/a'}", "pxe.bootstrapFileUrl", "'http://:80/a' is not a URL"),
    ("pxe: {bootstrapFileUrl: «'http://a:b/c'}", "pxe.bootstrapFileUrl", "'http://a:b/c' is not a URL"),
    ("pxe: {bootstrapFileUrl: «'http://[a/c'}", "pxe.bootstrapFileUrl", "'http://[a/c' is not a URL"),
    ("pxe: {bootstrapFileUrl: «'http://a b'}", "pxe.bootstrapFileUrl", "'http://a b' is not a URL"),
    ("pxe: {bootstrapFileUrl: «['http://a']}", "pxe.bootstrapFileUrl", "expected a single value, found a list"),
    ("pxe: {bootstrapBaseUrl: 'http://a', bootstrapFileUrl: «'http://b'}", "pxe.bootstrapFileUrl",
        "'bootstrapBaseUrl' and 'bootstrapFileUrl' may not be given together"),
    ("pxe: {bootstrapBaseUrl: «'http://a', initramfsType: full-os}", "pxe.bootstrapBaseUrl",
        "this key is not allowed with initramfsType full-os"),
    ("pxe: {bootstrapFileUrl: «'http://a', initramfsType: full-os}", "pxe.bootstrapFileUrl",
        "this key is not allowed with initramfsType full-os"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "iso"), RIGHT_ISO)
def test_iso(config_of: ConfigOf, text: str, iso: Iso | None) -> None:
    assert config_of(f"{KDUMP}iso: {text}").iso == iso


@pytest.mark.parametrize(("text", "pxe"), RIGHT_PXE)
def test_pxe(config_of: ConfigOf, text: str, pxe: Pxe | None) -> None:
    assert config_of(f"{KDUMP}pxe: {text}").pxe == pxe


@pytest.mark.parametrize(("text", "key", "message"), WRONG)
def test_one_mistake(problems_of: ProblemsOf, text: str, key: str, message: str) -> None:
    assert_one_problem(problems_of(unmarked(text)), text, key, message)
