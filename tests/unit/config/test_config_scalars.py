from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinroot.config import scalars
from twinroot.config.scalars import ScalarError
from twinroot.units import GIB, MIB, TIB


def level(text: str) -> int:
    return scalars.integer(text, 1, 22)


RIGHT: list[tuple[Callable[[str], Any], str, Any]] = [
    (scalars.disk_size, "1024K", MIB),
    (scalars.disk_size, "1M", MIB),
    (scalars.disk_size, "2G", 2 * GIB),
    (scalars.disk_size, "3T", 3 * TIB),
    (scalars.disk_size, "0M", 0),
    (scalars.disk_size, "8388607T", 8388607 * TIB),
    (scalars.partition_size, "grow", "grow"),
    (scalars.partition_size, "", None),
    (scalars.partition_size, "8M", 8 * MIB),
    (scalars.permissions, "777", 0o777),
    (scalars.permissions, "000", 0),
    (scalars.permissions, "0", 0),
    (scalars.permissions, "0644", 0o644),
    (scalars.hostname, "", None),
    (scalars.hostname, "testimage", "testimage"),
    (scalars.hostname, "a-1.example.com.", "a-1.example.com."),
    (scalars.hostname, "a" * 63, "a" * 63),
    (scalars.gpt_label, "", ""),
    (scalars.gpt_label, "x" * 35, "x" * 35),
    (scalars.gpt_label, "EFI system", "EFI system"),
    (scalars.partition_type, "", "linux-generic"),
    (scalars.partition_type, "esp", "esp"),
    (scalars.partition_type, "usr-verity", "usr-verity"),
    (scalars.partition_type, "4D21B016-b534-45c2-a9fb-5c16e091fd2d", "4d21b016-b534-45c2-a9fb-5c16e091fd2d"),
    (scalars.in_image_path, "/", "/"),
    (scalars.in_image_path, "/var//lib/..x", "/var//lib/..x"),
    (scalars.mount_options, "ro,x-systemd.after=a:b", "ro,x-systemd.after=a:b"),
    (scalars.mount_options, "", ""),
    (scalars.destination, f"/a/{'u' * 255}", f"/a/{'u' * 255}"),
    (scalars.kernel_argument, "a b", "a b"),
    (scalars.kernel_argument, "a;b|c&d<e>{f}#*`g`", "a;b|c&d<e>{f}#*`g`"),
    (scalars.kernel_argument, 'a="b c"', 'a="b c"'),
    (scalars.kernel_argument, '"a b=c"', '"a b=c"'),
    (scalars.package_spec, "kernel >= 6", "kernel >= 6"),
    (scalars.boolean, "true", True),
    (scalars.boolean, "Yes", True),
    (scalars.boolean, "ON", True),
    (scalars.boolean, "y", True),
    (scalars.boolean, "False", False),
    (scalars.boolean, "off", False),
    (scalars.boolean, "n", False),
    (scalars.boolean, "no", False),
    (level, "1", 1),
    (level, "22", 22),
    (level, "0x10", 16),
    (level, "0o17", 15),
    (level, "017", 15),
    (level, "0b11", 3),
    (level, "+1_0", 10),
]

WRONG: list[tuple[Callable[[str], Any], str, str]] = [
    (scalars.disk_size, "1048576", "has no unit"),
    (scalars.disk_size, "18446744073709551616M", "out of range"),
    (scalars.disk_size, "8388608T", "out of range"),
    (scalars.disk_size, "T", "is not a size"),
    (scalars.disk_size, "2M2", "is not a size"),
    (scalars.disk_size, "cat", "is not a size"),
    (scalars.disk_size, "", "is not a size"),
    (scalars.disk_size, "-1M", "is not a size"),
    (scalars.disk_size, "1m", "is not a size"),
    (scalars.disk_size, "1 M", "is not a size"),
    (scalars.disk_size, "1.5G", "is not a size"),
    (scalars.disk_size, "1MiB", "is not a size"),
    (scalars.disk_size, "١M", "is not a size"),
    (scalars.disk_size, "١", "is not a size"),
    (scalars.disk_size, "1M\n", "is not a size"),
    (scalars.disk_size, "512K", "not a multiple of 1 MiB"),
    (scalars.disk_size, "010M", "begins with a zero"),
    (scalars.disk_size, "08M", "begins with a zero"),
    (scalars.disk_size, "00M", "begins with a zero"),
    (scalars.positive_disk_size, "0M", "larger than zero"),
    (scalars.partition_size, "0M", "larger than zero"),
    (scalars.partition_size, "-0M", "is not a size"),
    (scalars.partition_size, "Grow", "is not a size"),
    (scalars.permissions, "1000", "0o1000 contains bits"),
    (scalars.permissions, "7000", "0o7000 contains bits"),
    (scalars.permissions, "999", "are not permissions"),
    (scalars.permissions, "0o755", "are not permissions"),
    (scalars.permissions, "", "are not permissions"),
    (scalars.permissions, "7" * 10_000, "are not permissions"),
    (scalars.hostname, "under_score", "is not a host name"),
    (scalars.hostname, "-a", "is not a host name"),
    (scalars.hostname, "a..b", "is not a host name"),
    (scalars.hostname, ".", "is not a host name"),
    (scalars.hostname, "a" * 64, "is not a host name"),
    (scalars.hostname, ".".join(["abcdefg"] * 33), "is not a host name"),
    (scalars.hostname, "straße", "is not a host name"),
    (scalars.gpt_label, "x" * 36, "too long"),
    (scalars.gpt_label, "é", "printable ASCII"),
    (scalars.gpt_label, "a\nb", "printable ASCII"),
    (scalars.partition_type, "a", "is not a partition type"),
    (scalars.partition_type, "4d21b016-b534-45c2-a9fb-5c16e091fd2", "is not a partition type"),
    (scalars.partition_type, "ESP", "is not a partition type"),
    (scalars.in_image_path, "", "is empty"),
    (scalars.in_image_path, "var", "must be absolute"),
    (scalars.in_image_path, "/a b", "may not contain"),
    (scalars.in_image_path, "/a\tb", "may not contain"),
    (scalars.in_image_path, "/a:b", "may not contain"),
    (scalars.in_image_path, "/a,b", "may not contain"),
    (scalars.in_image_path, "/a/../b", "may not contain '..'"),
    (scalars.mount_options, "a b", "white space"),
    (scalars.mount_options, "a\n", "white space"),
    (scalars.non_empty, " ", "may not be empty"),
    (scalars.kernel_argument, "", "may not be empty"),
    (scalars.destination, "", "may not be empty"),
    (scalars.destination, f"/a/{'ü' * 128}/b", "longer than 255 bytes"),
    (scalars.kernel_argument, "a\nb", "line break"),
    (scalars.kernel_argument, "a\0b", "control characters"),
    (scalars.kernel_argument, "it's", "single quotes"),
    (scalars.kernel_argument, "a=$b", "read as their own"),
    *[
        (scalars.kernel_argument, text, "may only stand around")
        for text in ('a"b', 'a"b"c', '"a"b', 'a="b"c', 'a "b"=c')
    ],
    (scalars.package_spec, "--installroot=/", "may not begin with '-'"),
    (scalars.package_spec, "", "may not be empty"),
    (scalars.boolean, "1", "neither true nor false"),
    (scalars.boolean, "t", "neither true nor false"),
    (scalars.boolean, "", "neither true nor false"),
    (level, "-1", "out of range"),
    (level, "0", "out of range"),
    (level, "23", "out of range"),
    (level, "100", "out of range"),
    (level, "1.0", "not a whole number"),
    (level, "0x", "not a whole number"),
    (level, "08", "not a whole number"),
    (level, "9" * 10_000, "not a whole number"),
    (level, "", "not a whole number"),
]


@pytest.mark.parametrize(("decode", "text", "value"), RIGHT)
def test_right(decode: Callable[[str], Any], text: str, value: object) -> None:
    assert decode(text) == value


@pytest.mark.parametrize(("decode", "text", "message"), WRONG)
def test_wrong(decode: Callable[[str], Any], text: str, message: str) -> None:
    with pytest.raises(ScalarError) as caught:
        decode(text)
    assert message in caught.value.message


@given(st.sampled_from(sorted({row[0] for row in WRONG}, key=str)), st.text(max_size=40))
def test_no_text_raises_anything_else(decode: Callable[[str], Any], text: str) -> None:
    try:
        decode(text)
    except ScalarError as error:
        assert error.message.isprintable()
