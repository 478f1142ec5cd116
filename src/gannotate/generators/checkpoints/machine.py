"""A pickle reader that can only build inert things: numbers, text, lists, dictionaries, and our own stand-ins.

It follows the opcodes of pickle protocols 0 to 5 (their meaning is documented in the standard library's `pickletools`)
but has no way to import, to look up an attribute or to call what a file names: a name becomes a `Name`, and a call on
a name is answered by the allow-list or refused. Python's own Unpickler, even with `find_class` overridden, sets
attributes on whatever the file got hold of and allocates what the file claims; here nothing is taken on trust.
"""

from __future__ import annotations

import codecs
import struct
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from gannotate.generators.checkpoints.stream import Cursor, Name, Unreadable, damaged, key_of, refuse, shown

MOST_OPCODES = 2_000_000
"""A generator's checkpoint with its optimiser has some ten thousand."""

MOST_INTEGER_BYTES = 64
"""Of one whole number; torch's longest has ten."""

MARK = object()
"""On the stack: where the items of a container begin."""


class AllowList(Protocol):
    """Which names a pickle may use, and what stands in for the calls on them."""

    def resolve(self, module: str, name: str) -> Name:
        """The name, when it is allowed; raises otherwise."""
        ...

    def call(self, name: Name, arguments: tuple[Any, ...]) -> Any:
        """What stands in for `name(*arguments)`."""
        ...

    def set_state(self, thing: Any, state: Any) -> None:
        """What stands in for restoring an object's attributes."""
        ...

    def persistent(self, reference: Any) -> Any:
        """What a persistent id stands for; raises where the format has none."""
        ...


def unpickle(cursor: Cursor, allowed: AllowList) -> Any:
    """The value of the pickle at `cursor`, which is left behind its end.

    Raises:
        Unreadable: it asks for something that is not allowed, or is damaged.
    """
    return _Machine(cursor, allowed).run()


class _Machine:
    def __init__(self, cursor: Cursor, allowed: AllowList) -> None:
        self.cursor = cursor
        self.allowed = allowed
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        for _ in range(MOST_OPCODES):
            code = self.cursor.take(1, "a pickle's next step")[0]
            if code == ord("."):
                return self.pop()
            step = STEPS.get(code)
            if step is None:
                raise damaged(f"byte {self.cursor.position - 1} is no step of a pickle ({code:#04x})")
            step(self)
        raise damaged(f"its pickle has more than {MOST_OPCODES} steps")

    # --- the stack

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        if not self.stack or self.stack[-1] is MARK:
            raise damaged("its pickle takes a value where none is")
        return self.stack.pop()

    def top(self) -> Any:
        if not self.stack or self.stack[-1] is MARK:
            raise damaged("its pickle uses a value where none is")
        return self.stack[-1]

    def pop_to_mark(self) -> list[Any]:
        for start in range(len(self.stack) - 1, -1, -1):
            if self.stack[start] is MARK:
                items = self.stack[start + 1 :]
                del self.stack[start:]
                return items
        raise damaged("its pickle ends a container that never began")

    def drop(self) -> None:
        if not self.stack:
            raise damaged("its pickle drops a value where none is")
        self.stack.pop()  # also a mark: that is how protocol 0 leaves an unused one

    # --- numbers and text

    def text_line(self) -> str:
        return self.cursor.line("a line of a pickle").decode("utf-8", "replace")

    def decimal(self) -> None:
        word = self.text_line().rstrip("L")
        if word in ("00", "01"):  # how protocol 0 writes booleans
            self.push(word == "01")
            return
        if len(word) > 2 * MOST_INTEGER_BYTES or not word.lstrip("-").isdecimal():
            raise damaged(f"{shown(word)!r} in place of a whole number")
        self.push(_number(int, word))

    def decimal_fraction(self) -> None:
        self.push(_number(float, self.text_line()[:400]))

    def integer(self, size: int, signed: bool) -> None:
        self.push(self.cursor.integer(size, "a number", signed))

    def long_integer(self, size_bytes: int) -> None:
        size = self.cursor.integer(size_bytes, "a number's length")
        if size > MOST_INTEGER_BYTES:
            raise damaged(f"a whole number of {size} bytes")
        self.integer(size, signed=True)

    def fraction(self) -> None:
        self.push(struct.unpack(">d", self.cursor.take(8, "a number"))[0])

    def sized(self, size_bytes: int, make: Callable[[memoryview], Any]) -> None:
        """Text or bytes behind their length."""
        count = self.cursor.integer(size_bytes, "a text's length")
        self.push(make(self.cursor.take(count, "a text")))

    def quoted_line(self) -> None:
        line = self.cursor.line("a quoted text").strip()
        if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
            raise damaged("a text without its quotes")
        try:
            self.push(codecs.escape_decode(line[1:-1])[0].decode("latin1"))  # pyright: ignore[reportAttributeAccessIssue]
        except ValueError as error:
            raise damaged("a text with a wrong escape") from error

    def unicode_line(self) -> None:
        try:
            self.push(self.cursor.line("a text").decode("raw-unicode-escape"))
        except UnicodeDecodeError as error:
            raise damaged("a text with a wrong escape") from error

    # --- containers

    def mark_to(self, make: Callable[[list[Any]], Any]) -> None:
        self.push(make(self.pop_to_mark()))

    def last_to_tuple(self, count: int) -> None:
        items = [self.pop() for _ in range(count)]
        self.push(tuple(reversed(items)))

    def append(self) -> None:
        item = self.pop()
        self.extend([item])

    def extend(self, items: list[Any]) -> None:
        target = self.top()
        if not isinstance(target, list):
            raise damaged(f"its pickle appends to {shown(target)}")
        target.extend(items)

    def set_item(self) -> None:
        value, key = self.pop(), self.pop()
        self.set_items([key, value])

    def set_items(self, items: list[Any]) -> None:
        target = self.top()
        if not isinstance(target, dict):
            raise damaged(f"its pickle sets an item of {shown(target)}")
        target.update(_pairs(items))

    def add_items(self) -> None:
        items, target = self.pop_to_mark(), self.top()
        if not isinstance(target, set):
            raise damaged(f"its pickle adds to {shown(target)}")
        target.update(key_of(item) for item in items)

    # --- memo

    def remember(self, index: int) -> None:
        self.memo[index] = self.top()

    def recall(self, index: int) -> None:
        if index not in self.memo:
            raise damaged(f"its pickle recalls value {index}, which it never kept")
        self.push(self.memo[index])

    def line_index(self) -> int:
        word = self.text_line()
        if len(word) > 12 or not word.isdecimal():
            raise damaged(f"{shown(word)!r} in place of a value's number")
        return int(word)

    # --- names and calls

    def name(self, module: Any, name: Any) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise damaged("a name that is no text")
        self.push(self.allowed.resolve(module, name))

    def name_from_lines(self) -> None:
        module = self.text_line()
        self.name(module, self.text_line())

    def name_from_stack(self) -> None:
        name, module = self.pop(), self.pop()
        self.name(module, name)

    def call(self) -> None:
        arguments, function = self.pop(), self.pop()
        self.answer(function, arguments)

    def call_with_keywords(self) -> None:
        keywords, arguments, function = self.pop(), self.pop(), self.pop()
        if keywords:
            refuse(f"{shown(str(function))} with keywords" if isinstance(function, Name) else "a call with keywords")
        self.answer(function, arguments)

    def instance_from_lines(self) -> None:
        module = self.text_line()
        name = self.text_line()
        arguments = tuple(self.pop_to_mark())
        self.answer(self.allowed.resolve(module, name), arguments)

    def instance_from_stack(self) -> None:
        items = self.pop_to_mark()
        if not items:
            raise damaged("its pickle makes an object of no class")
        self.answer(items[0], tuple(items[1:]))

    def answer(self, function: Any, arguments: Any) -> None:
        if not isinstance(function, Name):
            raise damaged(f"its pickle calls {shown(function)}")
        if not isinstance(arguments, tuple):
            raise damaged(f"its pickle calls {function} on {shown(arguments)}")
        self.push(self.allowed.call(function, arguments))

    def build(self) -> None:
        state = self.pop()
        self.allowed.set_state(self.top(), state)

    def extension(self, size: int) -> None:
        refuse(f"code {self.cursor.integer(size, 'an extension')} of the copyreg extension registry")

    def persistent(self, reference: Any) -> None:
        self.push(self.allowed.persistent(reference))

    def out_of_band(self) -> None:
        refuse("a buffer outside the file")


def _number(make: Callable[[str], Any], word: str) -> Any:
    try:
        return make(word)
    except ValueError as error:
        raise damaged(f"{shown(word)!r} in place of a number") from error


def _pairs(items: list[Any]) -> Mapping[Any, Any]:
    if len(items) % 2:
        raise damaged("a dictionary with a key and no value")
    return {key_of(key): value for key, value in zip(items[::2], items[1::2], strict=True)}


def _utf8(view: memoryview) -> str:
    try:
        return str(view, "utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise damaged("a text that is no UTF-8") from error


def _latin1(view: memoryview) -> str:
    return str(view, "latin1")


def _same(view: memoryview) -> memoryview:
    return view


def _short_bytes(view: memoryview) -> bytes:
    return bytes(view)


def _checked_protocol(machine: _Machine) -> None:
    protocol = machine.cursor.integer(1, "a protocol")
    if protocol > 5:
        raise Unreadable(f"is a pickle of protocol {protocol}; known are 0 to 5")


STEPS: dict[int, Callable[[_Machine], None]] = {
    ord(code): step
    for code, step in {
        "(": lambda m: m.push(MARK),
        "0": lambda m: m.drop(),
        "1": lambda m: m.pop_to_mark() and None,
        "2": lambda m: m.push(m.top()),
        "F": lambda m: m.decimal_fraction(),
        "I": lambda m: m.decimal(),
        "J": lambda m: m.integer(4, signed=True),
        "K": lambda m: m.integer(1, signed=False),
        "L": lambda m: m.decimal(),
        "M": lambda m: m.integer(2, signed=False),
        "N": lambda m: m.push(None),
        "P": lambda m: m.persistent(m.text_line()),
        "Q": lambda m: m.persistent(m.pop()),
        "R": lambda m: m.call(),
        "S": lambda m: m.quoted_line(),
        "T": lambda m: m.sized(4, _latin1),
        "U": lambda m: m.sized(1, _latin1),
        "V": lambda m: m.unicode_line(),
        "X": lambda m: m.sized(4, _utf8),
        "a": lambda m: m.append(),
        "b": lambda m: m.build(),
        "c": lambda m: m.name_from_lines(),
        "d": lambda m: m.mark_to(lambda items: dict(_pairs(items))),
        "}": lambda m: m.push({}),
        "e": lambda m: m.extend(m.pop_to_mark()),
        "g": lambda m: m.recall(m.line_index()),
        "h": lambda m: m.recall(m.cursor.integer(1, "a value's number")),
        "i": lambda m: m.instance_from_lines(),
        "j": lambda m: m.recall(m.cursor.integer(4, "a value's number")),
        "l": lambda m: m.mark_to(list),
        "]": lambda m: m.push([]),
        "o": lambda m: m.instance_from_stack(),
        "p": lambda m: m.remember(m.line_index()),
        "q": lambda m: m.remember(m.cursor.integer(1, "a value's number")),
        "r": lambda m: m.remember(m.cursor.integer(4, "a value's number")),
        "s": lambda m: m.set_item(),
        "t": lambda m: m.mark_to(tuple),
        ")": lambda m: m.push(()),
        "u": lambda m: m.set_items(m.pop_to_mark()),
        "G": lambda m: m.fraction(),
        "\x80": _checked_protocol,
        "\x81": lambda m: m.call(),
        "\x82": lambda m: m.extension(1),
        "\x83": lambda m: m.extension(2),
        "\x84": lambda m: m.extension(4),
        "\x85": lambda m: m.last_to_tuple(1),
        "\x86": lambda m: m.last_to_tuple(2),
        "\x87": lambda m: m.last_to_tuple(3),
        "\x88": lambda m: m.push(True),
        "\x89": lambda m: m.push(False),
        "\x8a": lambda m: m.long_integer(1),
        "\x8b": lambda m: m.long_integer(4),
        "B": lambda m: m.sized(4, _same),
        "C": lambda m: m.sized(1, _short_bytes),
        "\x8c": lambda m: m.sized(1, _utf8),
        "\x8d": lambda m: m.sized(8, _utf8),
        "\x8e": lambda m: m.sized(8, _same),
        "\x8f": lambda m: m.push(set()),
        "\x90": lambda m: m.add_items(),
        "\x91": lambda m: m.mark_to(lambda items: frozenset(key_of(item) for item in items)),
        "\x92": lambda m: m.call_with_keywords(),
        "\x93": lambda m: m.name_from_stack(),
        "\x94": lambda m: m.remember(len(m.memo)),
        "\x95": lambda m: m.cursor.take(8, "a frame") and None,
        "\x96": lambda m: m.sized(8, _same),
        "\x97": lambda m: m.out_of_band(),
        "\x98": lambda m: None,  # marks a buffer as read-only; all of ours are
    }.items()
}
"""What each opcode does; `STOP` ends the run."""
