"""Scalar syntaxes of the configuration languages (image-config spec, section 2).

For each syntax a pure function from source text to value, raising `ScalarError`, and the annotated type that models
use. The types also accept decoded values, so that code can build models without going through text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar, cast
from uuid import UUID

from pydantic import BeforeValidator, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo, WithJsonSchema
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from pydantic_core.core_schema import WithInfoValidatorFunction, with_info_before_validator_function

from twinroot.config.problems import did_you_mean, one_of, quoted
from twinroot.units import GIB, KIB, MIB, TIB, partition_type_names

T = TypeVar("T")

AS_STORED = {"as stored": True}
"""A context of validation in which text of the wrong syntax stays as it is: another program has accepted it before."""

_UNITS = {"K": KIB, "M": MIB, "G": GIB, "T": TIB}
_DISK_SIZE = re.compile(r"([0-9]+)([KMGT])")
_MAX_SIZE = 2**63 - 1
_ANY_LENGTH = 2**63  # of contents and the like; files as a whole are limited
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_HOST_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_MODULE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]*")
_INTEGER = re.compile(r"[-+]?(?:0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|[0-9][0-9_]*)")
_TRUE = frozenset(("true", "yes", "on", "y"))
_FALSE = frozenset(("false", "no", "off", "n"))
_QUOTED_ARGUMENT = re.compile(r'(?:[^"\s=]+=)?"[^"]*"')
_WHITE = re.compile(r"[ \t\r\n]")

# Names a partition's `type` may have (section 4.9); they do not depend on the architecture, their UUIDs do.
PARTITION_TYPE_NAMES = tuple(name for name in partition_type_names("x86_64") if not name.endswith("-sig"))


class ScalarError(ValueError):
    """The text is not of the wanted syntax: what is wrong, and what would be right. `code` is the peer's name."""

    def __init__(self, message: str, hint: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code


def from_text(decode: Callable[[str], T], *, longest: int = 32 * KIB) -> BeforeValidator:
    """A validator that decodes text of at most `longest` characters and leaves values alone.

    Lists and mappings are rejected.
    """

    def decoded(text: str) -> T:
        if len(text) > longest:
            raise ScalarError(f"the value is too long: {len(text)} characters", f"at most {longest} are allowed")
        return decode(text)

    def validate(value: object, info: ValidationInfo) -> object:
        if isinstance(value, str):
            try:
                return decoded(value)
            except ScalarError:
                if info.context is AS_STORED:
                    return value
                raise
        if isinstance(value, (list, dict)):
            raise ScalarError(f"expected a single value, found {'a list' if isinstance(value, list) else 'a mapping'}")
        return value

    return BeforeValidator(validate)


def disk_size(text: str) -> int:
    """Bytes of a size such as `512M`: digits and one of K, M, G, T, a whole number of MiB."""
    found = _DISK_SIZE.fullmatch(text)
    if not found:
        if text and text.isascii() and text.isdigit():
            raise ScalarError(
                f"the size {quoted(text)} has no unit", "write it with K, M, G or T, for example 512M or 4G"
            )
        raise ScalarError(f"{quoted(text)} is not a size", "write digits and one of K, M, G, T, for example 512M or 4G")
    digits, unit = found.groups()
    if len(digits) > 1 and digits.startswith("0"):
        raise ScalarError(f"the size {quoted(text)} begins with a zero", f"write {digits.lstrip('0') or '0'}{unit}")
    if len(digits) > 19 or int(digits) * _UNITS[unit] > _MAX_SIZE:
        raise ScalarError(f"the size {quoted(text)} is out of range", "it must be below 8 EiB")
    size = int(digits) * _UNITS[unit]
    if size % MIB:
        raise ScalarError(f"the size {quoted(text)} is not a multiple of 1 MiB", "1024K is 1M")
    return size


def positive_disk_size(text: str) -> int:
    """Bytes of a size that is larger than zero."""
    size = disk_size(text)
    if size == 0:
        raise ScalarError("the size must be larger than zero")
    return size


def partition_size(text: str) -> int | str | None:
    """Bytes of a positive size, `grow`, or None for empty text."""
    if text in ("", "grow"):
        return text or None
    try:
        return positive_disk_size(text)
    except ScalarError as error:
        raise ScalarError(error.message, f"{error.hint}, or grow" if error.hint else None) from None


def permissions(text: str) -> int:
    """Permission bits from octal digits, with or without a leading zero."""
    if not re.fullmatch(r"[0-7]{1,32}", text):
        raise ScalarError(f"{quoted(text)} are not permissions", "write octal digits, for example 755 or 0644")
    bits = int(text, 8)
    if bits & ~0o777:
        raise ScalarError(f"0o{bits:o} contains bits that are not permissions", "use at most 777")
    return bits


def hostname(text: str) -> str | None:
    """A DNS name, None for empty text. Labels of letters, digits and hyphens; a final dot is allowed."""
    if not text:
        return None
    labels = text.removesuffix(".").split(".")
    if len(text) > 255 or not all(_HOST_LABEL.fullmatch(label) for label in labels):
        raise ScalarError(
            f"{quoted(text)} is not a host name",
            "use letters, digits and hyphens, with dots between parts of at most 63 characters",
        )
    return text


def gpt_label(text: str) -> str:
    """A partition name: printable ASCII, at most 35 characters (36 UTF-16 units with the terminator)."""
    if not text.isascii() or not text.isprintable():
        raise ScalarError(f"the label {quoted(text)} must be printable ASCII text")
    if len(text) > 35:
        raise ScalarError(f"the label {quoted(text)} is too long", f"at most 35 characters fit, this has {len(text)}")
    return text


def partition_type(text: str) -> str:
    """The name of a partition type, or a type UUID in lower case; empty text is `linux-generic`."""
    if not text:
        return "linux-generic"
    if text in PARTITION_TYPE_NAMES:
        return text
    if _UUID.fullmatch(text):
        return str(UUID(text))
    known = one_of(sorted(PARTITION_TYPE_NAMES))
    hint = did_you_mean(text, PARTITION_TYPE_NAMES) or f"use a type UUID, {known}"
    raise ScalarError(f"{quoted(text)} is not a partition type", hint)


def in_image_path(text: str) -> str:
    """An absolute path in the image, without white space, colons and commas (fstab and mount options use them).

    Parts named `..` are rejected too, which the peer does not do: no such path is wanted, and it could lead astray.
    """
    if not text:
        raise ScalarError("the path is empty", "write an absolute path such as /var")
    if re.search(r"[\s:,]", text):
        raise ScalarError(f"the path {quoted(text)} may not contain white space, ':' or ','")
    if not text.startswith("/"):
        raise ScalarError(f"the path {quoted(text)} must be absolute", f"write {quoted('/' + text)}")
    if ".." in text.split("/"):
        raise ScalarError(f"the path {quoted(text)} may not contain '..'")
    return text


def destination(text: str) -> str:
    """A path that something is written to, with no name in it that is longer than filesystems hold (NAME_MAX)."""
    for name in text.split("/"):
        if len(name.encode(errors="surrogatepass")) > 255:
            raise ScalarError(f"the path has a name that is longer than 255 bytes: {quoted(name)}")
    return non_empty(text)


def mount_options(text: str) -> str:
    """Mount options as fstab has them: no white space."""
    if _WHITE.search(text):
        raise ScalarError(f"the mount options {quoted(text)} may not contain white space", "separate options by commas")
    return text


def non_empty(text: str) -> str:
    """Text with something in it."""
    if not text.strip():
        raise ScalarError("the value may not be empty")
    return text


def one_word(text: str) -> str:
    """Text without blanks and line breaks."""
    if " " in text or "\n" in text:
        raise ScalarError(f"{quoted(text)} may not contain spaces and line breaks")
    return non_empty(text)


def module_name(text: str) -> str:
    """The name of a kernel module, or a plain alias of one, as files of modprobe.d(5) and modules-load.d(5) take it.

    Kernels are built with letters, digits, `_` and `-` only (scripts/Makefile.lib), aliases have dots and colons too. A
    slash leads out of the folder that has a file for each module; other signs begin comments there or continue a line.
    """
    if not _MODULE.fullmatch(one_word(text)):
        raise ScalarError(
            f"{quoted(text)} is not the name of a kernel module", "use letters, digits, '_' and '-', for example nbd"
        )
    return text


def kernel_argument(text: str) -> str:
    """One kernel argument; it may contain spaces, but the command line is a single line.

    A `$`, a backslash or a quote would reach the kernel only after grub has read it as its own, or put a backslash
    before it. Double quotes around all of the argument or its value are what the kernel knows. Everything else gets
    through when it is quoted (`boot/command_line.py`).
    """
    if "\n" in text or "\r" in text:
        raise ScalarError("a kernel argument may not contain a line break")
    if re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", text):
        raise ScalarError("a kernel argument may not contain control characters")
    if re.search(r"[$\\']", text):
        raise ScalarError(
            "a kernel argument may not contain '$', '\\' or single quotes, which boot loaders read as their own"
        )
    if '"' in text and not _QUOTED_ARGUMENT.fullmatch(text):
        raise ScalarError(
            "double quotes may only stand around a kernel argument or its value", 'write name="value with spaces"'
        )
    return non_empty(text)


def package_spec(text: str) -> str:
    """What names a package to a package manager. A leading hyphen would be taken for an option."""
    if text.startswith("-"):
        raise ScalarError(f"the package name {quoted(text)} may not begin with '-'")
    return non_empty(text)


def empty_is_unset(text: str) -> str | None:
    """None for empty text, which stands for "not set" in many fields."""
    return text or None


class _EmptyIsUnset:
    """In an annotation: empty text stands for "not set", also in enumerations."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        decode = from_text(empty_is_unset, longest=_ANY_LENGTH).func
        return with_info_before_validator_function(cast("WithInfoValidatorFunction", decode), handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        shown = handler(schema)
        options = [option for option in shown.get("anyOf", [shown]) if option.get("type") != "null"]
        names = [name for option in options for name in option.get("enum", [option.get("const")])]
        return {"enum": [*names, ""]} if all(names) else shown


EmptyIsUnset = _EmptyIsUnset()


def boolean(text: str) -> bool:
    """true/false, also yes/no, on/off, y/n, in any capitals."""
    word = text.lower()
    if word not in _TRUE | _FALSE:
        raise ScalarError(f"{quoted(text)} is neither true nor false", "write true or false")
    return word in _TRUE


def integer(text: str, lowest: int, highest: int) -> int:
    """A whole number: decimal, 0x, 0o, 0b, a leading 0 for octal (as YAML 1.1 has it), underscores between digits."""
    plain = text.replace("_", "")
    try:
        if not _INTEGER.fullmatch(text) or len(plain) > 64:
            raise ValueError
        digits = plain.lstrip("+-")
        old_octal = len(digits) > 1 and digits.startswith("0") and digits.isdigit()
        value = int(plain, 8 if old_octal else 0)
    except ValueError:
        raise ScalarError(f"{quoted(text)} is not a whole number") from None
    if not lowest <= value <= highest:
        raise ScalarError(f"{value} is out of range", f"allowed are {lowest} to {highest}")
    return value


class Between:
    """In an annotation: whole numbers of a range."""

    def __init__(self, lowest: int, highest: int) -> None:
        self._lowest = lowest
        self._highest = highest

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        decode = from_text(lambda text: integer(text, self._lowest, self._highest)).func
        return with_info_before_validator_function(cast("WithInfoValidatorFunction", decode), handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "integer", "minimum": self._lowest, "maximum": self._highest}


# YAML tools take 3.0 or true for values of their own; here each is the text that was written.
_SCALAR = ["string", "number", "boolean"]


def _schema(pattern: str, *examples: str, kind: str | list[str] = "string") -> WithJsonSchema:
    schema: dict[str, Any] = {"type": kind, "pattern": pattern, "examples": list(examples)}
    return WithJsonSchema(schema)


DiskSize = Annotated[int, from_text(disk_size), _schema("^(0|[1-9][0-9]*)[KMGT]$", "512M", "4G")]
PositiveDiskSize = Annotated[int, from_text(positive_disk_size), _schema("^[1-9][0-9]*[KMGT]$", "512M", "4G")]
PartitionSize = Annotated[
    int | Literal["grow"] | None,
    from_text(partition_size),
    _schema("^([1-9][0-9]*[KMGT]|grow|)$", "512M", "grow"),
]
Permissions = Annotated[
    int,
    from_text(permissions),
    WithJsonSchema({"type": ["string", "integer"], "pattern": "^0*[0-7]{1,3}$", "examples": ["755", "0644"]}),
]
Hostname = Annotated[str | None, from_text(hostname), WithJsonSchema({"type": _SCALAR, "maxLength": 255})]
GptLabel = Annotated[str, from_text(gpt_label), WithJsonSchema({"type": _SCALAR, "maxLength": 35})]
PartitionType = Annotated[
    str,
    from_text(partition_type),
    WithJsonSchema(
        {"anyOf": [{"enum": ["", *PARTITION_TYPE_NAMES]}, {"type": "string", "pattern": f"^{_UUID.pattern}$"}]}
    ),
]
InImagePath = Annotated[str, from_text(in_image_path), _schema(r"^/[^\s:,]*$", "/var")]
MountOptions = Annotated[str, from_text(mount_options), _schema(r"^\S*$", "ro,noatime")]
ANY_TEXT = WithJsonSchema({"type": _SCALAR})

Text = Annotated[str, from_text(str, longest=_ANY_LENGTH), ANY_TEXT]
NonEmptyStr = Annotated[str, from_text(non_empty), WithJsonSchema({"type": _SCALAR, "minLength": 1})]
Destination = Annotated[str, from_text(destination), WithJsonSchema({"type": _SCALAR, "minLength": 1})]
OneWord = Annotated[str, from_text(one_word), _schema(r"^[^ \n]+$", "nbd", kind=_SCALAR)]
ModuleName = Annotated[str, from_text(module_name), _schema(f"^{_MODULE.pattern}$", "nbd", kind=_SCALAR)]
KernelArgument = Annotated[str, from_text(kernel_argument), _schema(r"^[^\n\r$\\']+$", "console=ttyS0", kind=_SCALAR)]
PackageSpec = Annotated[
    str,
    from_text(package_spec),
    _schema("^[^-]", "vim", kind=_SCALAR),
]
OptionalStr = Annotated[str | None, EmptyIsUnset, ANY_TEXT]
Flag = Annotated[bool, from_text(boolean), WithJsonSchema({"type": ["boolean", "string"]})]
