"""The part of CBOR (RFC 8949) that COSE signatures are written in. Hostile input ends in FormatError."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from twinroot.errors import FormatError

_DEEPEST = 16
_SIMPLE = {20: False, 21: True, 22: None, 23: None}


@dataclass(frozen=True)
class Tagged:
    """A value with a tag."""

    tag: int
    value: Any


def decode(data: bytes) -> Any:
    """The one value that `data` is: int, bytes, str, list, dict, Tagged, bool or None."""
    reader = _Reader(data)
    value = reader.value(0)
    if reader.position != len(data):
        raise FormatError("there is something behind the CBOR value")
    return value


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    def value(self, depth: int) -> Any:
        """The next value. Indefinite lengths and floating point numbers have no place in signatures."""
        if depth > _DEEPEST:
            raise FormatError("the CBOR value is nested too deeply")
        first = self._take(1)[0]
        kind, number = first >> 5, self._number(first & 31)
        if kind <= 1:
            return number if kind == 0 else -1 - number
        if kind in (2, 3):
            data = self._take(number)
            return data if kind == 2 else _text(data)
        if kind == 4:
            return [self.value(depth + 1) for _ in range(self._count(number))]
        if kind == 5:
            return self._map(number, depth)
        if kind == 6:
            return Tagged(number, self.value(depth + 1))
        if first & 31 in _SIMPLE:
            return _SIMPLE[first & 31]
        raise FormatError("the CBOR value holds something that signatures do not")

    def _map(self, count: int, depth: int) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for _ in range(self._count(count)):
            key = self.value(depth + 1)
            if not isinstance(key, (int, str)) or key in found:
                raise FormatError("a key of a CBOR map is no number or text, or is there twice")
            found[key] = self.value(depth + 1)
        return found

    def _number(self, info: int) -> int:
        if info < 24:
            return info
        if info > 27:
            raise FormatError("the CBOR value has a length that is not said in advance")
        return int.from_bytes(self._take(1 << (info - 24)), "big")

    def _count(self, number: int) -> int:
        if number > len(self._data) - self.position:
            raise FormatError("the CBOR value ends early")
        return number

    def _take(self, size: int) -> bytes:
        start, self.position = self.position, self.position + size
        if self.position > len(self._data):
            raise FormatError("the CBOR value ends early")
        return self._data[start : self.position]


def encode(value: bytes | str | list[Any]) -> bytes:
    """Bytes, text or a list of them: what COSE signs."""
    if isinstance(value, list):
        return _head(4, len(value)) + b"".join(map(encode, value))
    data = value.encode() if isinstance(value, str) else value
    return _head(3 if isinstance(value, str) else 2, len(data)) + data


def _head(kind: int, number: int) -> bytes:
    if number < 24:
        return bytes([kind << 5 | number])
    power = next(power for power in range(4) if number < 1 << (8 << power))
    return bytes([kind << 5 | 24 + power]) + number.to_bytes(1 << power, "big")


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise FormatError("a text in the CBOR value is not UTF-8") from error
