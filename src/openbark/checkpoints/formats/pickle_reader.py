"""Reads a pickle as data: a machine of the few opcodes that weights need, which can call nothing.

A name in the file (`module.name`) stays a name until a table of the caller says what it builds; a name
outside the table is refused with CheckpointUnsafeError. No `pickle` module, no import, no attribute is ever
touched, so nothing in a file can run (docs/parity.md N13). Every size is bounded by the bytes that are there.
Knows no torch; that is `torch_file`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openbark.errors import CheckpointCorruptError, CheckpointUnsafeError

Builder = Callable[..., Any]
"""Makes a value from the arguments a pickle gives; raises TypeError or ValueError for arguments that do not
fit."""

_MAX_OPCODES = 4_000_000
_MAX_NUMBER_BYTES = 16


@dataclass(frozen=True, slots=True)
class GlobalName:
    """A name the file mentions, and nothing but the name."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class _Mark:
    """Where a collection starts on the stack."""

    __slots__ = ()


class _Refused(Exception):  # noqa: N818 - private, never leaves this module
    """What is wrong with the bytes; `read_pickle` adds the file."""


def read_pickle(
    data: bytes,
    file: Path,
    builders: Mapping[str, Builder],
    constants: Mapping[str, Any],
    persistent: Builder,
) -> Any:
    """The value a pickle describes.

    builders: what may be called, by full name; constants: names that stand for a value; persistent: makes a
    value of a persistent id. `file` is named in errors. Raises CheckpointUnsafeError for any other name,
    CheckpointCorruptError for bytes that are no pickle of plain data.
    """
    reader = PickleReader(data, builders, constants, persistent)
    try:
        return reader.run()
    except CheckpointUnsafeError as error:
        raise CheckpointUnsafeError(
            f"{file}: {error}; OpenBark does not open it. Get the weights from a source you trust, "
            "as safetensors"
        ) from None
    except (
        _Refused,
        IndexError,
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        OverflowError,
        RecursionError,
        struct.error,
    ) as error:
        raise CheckpointCorruptError(
            f"{file}: its pickle breaks at byte {reader.position}: {str(error) or type(error).__name__}; "
            "fetch the file again"
        ) from error


class PickleReader:
    """The machine: a stack, a memo, a position. Use `read_pickle`, which types the errors."""

    def __init__(
        self,
        data: bytes,
        builders: Mapping[str, Builder],
        constants: Mapping[str, Any],
        persistent: Builder,
    ) -> None:
        self.position = 0
        self._data = data
        self._builders = builders
        self._constants = constants
        self._persistent = persistent
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._opcodes = _opcode_table()

    def run(self) -> Any:
        """Read up to STOP and give the value on top."""
        for _ in range(_MAX_OPCODES):
            opcode = self.take(1)[0]
            if opcode == ord("."):
                return self.pop()
            step = self._opcodes.get(opcode)
            if step is None:
                raise _Refused(f"opcode {opcode:#04x} is not one that weights need")
            step(self)
        raise _Refused(f"more than {_MAX_OPCODES} opcodes")

    def take(self, count: int) -> bytes:
        """The next bytes."""
        end = self.position + count
        if count < 0 or end > len(self._data):
            raise _Refused(f"{count} bytes wanted, {len(self._data) - self.position} left")
        chunk = self._data[self.position : end]
        self.position = end
        return chunk

    def number(self, layout: str) -> Any:
        """One number of the `struct` layout."""
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def line(self) -> str:
        """Text up to a line end, as protocol 0 writes names."""
        end = self._data.find(b"\n", self.position, self.position + 512)
        if end < 0:
            raise _Refused("a name without an end")
        return self.take(end + 1 - self.position)[:-1].decode("utf-8")

    def text(self, layout: str) -> str:
        """Text after its length."""
        return self.take(self.number(layout)).decode("utf-8", "surrogatepass")

    def push(self, value: Any) -> None:
        """Put a value on the stack."""
        self._stack.append(value)

    def pop(self) -> Any:
        """Take the value on top, which must be one."""
        value = self._stack.pop()
        if isinstance(value, _Mark):
            raise _Refused("a mark where a value should be")
        return value

    def pop_to_mark(self) -> list[Any]:
        """Take all values above the last mark, and the mark."""
        for index in range(len(self._stack) - 1, -1, -1):
            if isinstance(self._stack[index], _Mark):
                values = self._stack[index + 1 :]
                del self._stack[index:]
                return values
        raise _Refused("no mark on the stack")

    def mark(self) -> None:
        """Start a collection."""
        self._stack.append(_Mark())

    def top(self, kind: type) -> Any:
        """The value on top, left there, which must be of `kind`."""
        value = self._stack[-1]
        if not isinstance(value, kind):
            raise _Refused(f"{type(value).__name__} where {kind.__name__} should be")
        return value

    def push_tuple(self, length: int) -> None:
        """Make a tuple of the top values."""
        values = [self.pop() for _ in range(length)]
        self.push(tuple(reversed(values)))

    def append(self, values: list[Any]) -> None:
        """Add to the list on top."""
        self.top(list).extend(values)

    def set_items(self, pairs: list[Any]) -> None:
        """Add keys and values, in turns, to the dictionary on top."""
        target = self.top(dict)
        if len(pairs) % 2:
            raise _Refused("a key without a value")
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            # Nothing nested: hashing a deep tuple would recurse as deep as the file likes.
            if not isinstance(key, (str, int, float, bytes, type(None))):
                raise _Refused(f"{type(key).__name__} as a key")
            target[key] = value

    def remember(self, slot: int) -> None:
        """Keep the top value under a number."""
        self._memo[slot] = self._stack[-1]

    def remember_next(self) -> None:
        """Keep the top value under the next number."""
        self.remember(len(self._memo))

    def recall(self, slot: int) -> None:
        """Push what was kept."""
        self.push(self._memo[slot])

    def push_name(self, module: Any, name: Any) -> None:
        """Push a name, or the constant it stands for, if it is one of those allowed."""
        if not isinstance(module, str) or not isinstance(name, str):
            raise _Refused("a name that is not a text")
        full = f"{module}.{name}"
        if full in self._constants:
            self.push(self._constants[full])
        elif full in self._builders:
            self.push(GlobalName(module, name))
        else:
            raise CheckpointUnsafeError(f"it asks for {full[:200]!r} when read, which may run code")

    def push_stacked_name(self) -> None:
        """Push the name whose two parts are on the stack."""
        name, module = self.pop(), self.pop()
        self.push_name(module, name)

    def reduce(self) -> None:
        """Build a value: the name below, the arguments on top."""
        arguments, name = self.pop(), self.pop()
        if not isinstance(arguments, tuple) or not isinstance(name, GlobalName):
            raise CheckpointUnsafeError(f"it calls a {type(name).__name__} when read")
        self.push(self._builders[str(name)](*arguments))

    def build(self) -> None:
        """Attributes for the value on top: torch hangs bookkeeping on dictionaries and dtypes, all of it
        unimportant here. Anything else with attributes is refused."""
        self.pop()
        if not isinstance(self._stack[-1], (dict, Stateless)):
            raise CheckpointUnsafeError(
                f"it sets the state of a {type(self._stack[-1]).__name__} when read"
            )

    def push_persistent(self) -> None:
        """Push what a persistent id stands for."""
        identity = self.pop()
        if not isinstance(identity, tuple):
            raise _Refused("a persistent id that is not a tuple")
        self.push(self._persistent(*identity))

    def push_long(self, count: int) -> None:
        """A whole number of `count` bytes."""
        if count > _MAX_NUMBER_BYTES:
            raise _Refused(f"a number of {count} bytes")
        self.push(int.from_bytes(self.take(count), "little", signed=True))


class Stateless:
    """Base of built values whose state may be set, and is dropped."""

    __slots__ = ()


def _dictionary(reader: PickleReader) -> dict[Any, Any]:
    values = reader.pop_to_mark()
    made: dict[Any, Any] = {}
    reader.push(made)
    reader.set_items(values)
    return made


def _opcode_table() -> dict[int, Callable[[PickleReader], object]]:
    """Opcode -> what it does. Names of the opcodes: the standard library's `pickletools`."""
    push, number = PickleReader.push, PickleReader.number
    steps: dict[str, Callable[[PickleReader], object]] = {
        "\x80": lambda r: r.number("<B"),
        "\x95": lambda r: r.number("<Q"),
        "(": PickleReader.mark,
        "0": PickleReader.pop,
        "N": lambda r: push(r, None),
        "\x88": lambda r: push(r, True),
        "\x89": lambda r: push(r, False),
        "K": lambda r: push(r, number(r, "<B")),
        "M": lambda r: push(r, number(r, "<H")),
        "J": lambda r: push(r, number(r, "<i")),
        "\x8a": lambda r: r.push_long(number(r, "<B")),
        "G": lambda r: push(r, number(r, ">d")),
        "X": lambda r: push(r, r.text("<I")),
        "\x8c": lambda r: push(r, r.text("<B")),
        "\x8d": lambda r: push(r, r.text("<Q")),
        "C": lambda r: push(r, r.take(number(r, "<B"))),
        "B": lambda r: push(r, r.take(number(r, "<I"))),
        "\x8e": lambda r: push(r, r.take(number(r, "<Q"))),
        ")": lambda r: push(r, ()),
        "t": lambda r: push(r, tuple(r.pop_to_mark())),
        "\x85": lambda r: r.push_tuple(1),
        "\x86": lambda r: r.push_tuple(2),
        "\x87": lambda r: r.push_tuple(3),
        "]": lambda r: push(r, []),
        "l": lambda r: push(r, r.pop_to_mark()),
        "a": lambda r: r.append([r.pop()]),
        "e": lambda r: r.append(r.pop_to_mark()),
        "}": lambda r: push(r, {}),
        "d": _dictionary,
        "s": lambda r: r.set_items(list(reversed([r.pop(), r.pop()]))),
        "u": lambda r: r.set_items(r.pop_to_mark()),
        "q": lambda r: r.remember(number(r, "<B")),
        "r": lambda r: r.remember(number(r, "<I")),
        "\x94": PickleReader.remember_next,
        "h": lambda r: r.recall(number(r, "<B")),
        "j": lambda r: r.recall(number(r, "<I")),
        "c": lambda r: r.push_name(r.line(), r.line()),
        "\x93": PickleReader.push_stacked_name,
        "R": PickleReader.reduce,
        "b": PickleReader.build,
        "Q": PickleReader.push_persistent,
    }
    return {ord(opcode): step for opcode, step in steps.items()}
