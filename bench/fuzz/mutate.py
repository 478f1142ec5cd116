"""Changes to files: of bytes, and of what JSON, YAML, PNG, zip, pickle and safetensors files are made of.

Every change is drawn from a `Random`, so that an input is known by its number. What a structured change cannot parse
any more is changed by bytes.
"""

from __future__ import annotations

import copy
import json
import pickletools
import random
import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import Any

from bench.fuzz import archives

Mutator = Callable[[random.Random, bytes], bytes]

MOST_BYTES = 1 << 20

NUMBERS = (-1, 0, 1, 2, 3, 7, 127, 128, 254, 255, 256, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**62, 2**63,
           2**64, 10**30, -(2**31), -(2**63))  # fmt: skip

VALUES: tuple[Any, ...] = (
    *NUMBERS, None, True, False, 0.5, -0.0, 1e308, 1e-320, float("nan"), float("inf"), float("-inf"), "", "0", "a",
    "../../x", "/etc/passwd", "a/b", "\x00", "\ud800", "\x1b[2J", "x" * 5000, "é\u202e", "1e400", [], {}, [[]], [None],
    {"a": 1}, [1, 2], [[[[[[[[1]]]]]]]],
)  # fmt: skip
"""What stands in for a value of JSON or YAML."""

WORDS = (
    *(b"\x00", b"\xff", b"\n", b"\t", b"-1", b"NaN", b"Infinity", b"1e999", b"null", b"{}", b"[]", b'"', b"'"),
    *(b"..", b"/", b"%00", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xff\xfe", b"9" * 30, b"9" * 5000, b"[" * 3000),
    *(b'{"a":' * 900, b"*a", b"&a ", b"!!python/object/apply:os.system [x]", b"!!int ", b"!!timestamp x", b"<<: "),
    *(b"? ", b"2001-99-99", b"- " * 400),
)
"""Put into a file of any kind."""


def mutated(draw: random.Random, kind: str, data: bytes, others: Sequence[bytes]) -> bytes:
    """A changed copy of a file called `kind`; `others` are whole files of its kind."""
    own = STRUCTURED.get(PurePosixPath(kind).suffix.lower(), ())
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        if own and draw.random() < 0.6:
            data = structured(draw, draw.choice(own), data)
        elif draw.random() < 0.1:
            data = splice(draw, data, draw.choice(others))
        else:
            data = draw.choice(BYTES)(draw, data)
    return data[:MOST_BYTES]


def structured(draw: random.Random, change: Mutator, data: bytes) -> bytes:
    """`change`, or a change of bytes where the data have lost their structure."""
    try:
        return change(draw, data)
    except Exception:  # whatever a parser says of what was damaged before
        return draw.choice(BYTES)(draw, data)


# --- bytes


def flip(draw: random.Random, data: bytes) -> bytes:
    """Some bytes become others."""
    content = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 4, 16)) if content else 0):
        content[draw.randrange(len(content))] ^= draw.choice((1, 2, 4, 8, 16, 32, 64, 128, 255, draw.randrange(256)))
    return bytes(content)


def cut(draw: random.Random, data: bytes) -> bytes:
    """An end is missing, or a piece of the middle."""
    start = draw.randint(0, len(data))
    return data[:start] if draw.random() < 0.5 else data[:start] + data[start + draw.choice((1, 2, 4, 8, 64, 512)) :]


def repeat(draw: random.Random, data: bytes) -> bytes:
    """A piece stands there several times."""
    start, size = draw.randint(0, len(data)), draw.choice((1, 4, 16, 64, 256))
    return data[:start] + data[start : start + size] * draw.choice((2, 3, 10, 100)) + data[start + size :]


def put(draw: random.Random, data: bytes) -> bytes:
    """A word is put in, or over what is there."""
    start, word = draw.randint(0, len(data)), draw.choice(WORDS)
    return data[:start] + word + data[start + draw.choice((0, len(word))) :]


def number(draw: random.Random, data: bytes) -> bytes:
    """A whole number of 1 to 8 bytes becomes an unusual one, as lengths and sizes are told in binary files."""
    size = draw.choice((1, 2, 4, 8))
    if len(data) < size:
        return data
    start = draw.randrange(0, len(data) - size + 1)
    start -= start % size if draw.random() < 0.7 else 0
    value = draw.choice(NUMBERS) % (1 << (8 * size))
    return data[:start] + value.to_bytes(size, draw.choice(("little", "big"))) + data[start + size :]


def splice(draw: random.Random, data: bytes, other: bytes) -> bytes:
    """The beginning of one file and the end of another."""
    return data[: draw.randint(0, len(data))] + other[draw.randint(0, len(other)) :]


BYTES: tuple[Mutator, ...] = (flip, flip, cut, repeat, put, number, number)


# --- JSON and YAML


def tree(draw: random.Random, root: Any) -> Any:
    """A nested value with one of its parts changed, left out, doubled, renamed or moved."""
    root = copy.deepcopy(root)
    places = list(_places(root))
    if not places:
        return draw.choice(VALUES)
    holder, key = draw.choice(places)
    act = draw.random()
    if act < 0.5:
        holder[key] = draw.choice(VALUES)
    elif act < 0.65:
        del holder[key]
    elif act < 0.75:
        other, place = draw.choice(places)
        holder[key] = copy.deepcopy(other[place])
    elif isinstance(holder, dict):
        holder[draw.choice(("", "extra", "\ud800", str(key).upper(), f"{key} "))] = holder[key]
    else:
        holder[:] = holder * draw.choice((2, 50))
    return root


def _places(root: Any) -> list[tuple[Any, Any]]:
    found, waiting = [], [root]
    while waiting and len(found) < 500:
        here = waiting.pop()
        keys = list(here) if isinstance(here, dict) else range(len(here)) if isinstance(here, list) else ()
        for key in keys:
            found.append((here, key))
            waiting.append(here[key])
    return found


def json_tree(draw: random.Random, data: bytes) -> bytes:
    """JSON with another value somewhere."""
    return json.dumps(tree(draw, json.loads(data))).encode()


def json_twice(draw: random.Random, data: bytes) -> bytes:
    """JSON with a key that stands there twice, or with one value nested without end."""
    text = json.dumps(json.loads(data))
    if draw.random() < 0.5:
        start = text.find('"', draw.randrange(len(text)))
        key = text[start : text.find(":", start) + 1]
        return (text[:start] + key + json.dumps(draw.choice(VALUES)) + "," + text[start:]).encode()
    deep = draw.choice((100, 3000, 200_000))
    opening, closing = draw.choice((("[", "]"), ('{"a":', "}")))
    return text.replace(draw.choice(("1", "0", "null", '""')), opening * deep + "1" + closing * deep, 1).encode()


def lines(draw: random.Random, data: bytes) -> bytes:
    """JSON lines of which one is changed, left out or doubled."""
    rows = data.split(b"\n")
    place = draw.randrange(len(rows))
    act = draw.random()
    rows[place : place + 1] = [] if act < 0.1 else [rows[place]] * 2 if act < 0.2 else [json_tree(draw, rows[place])]
    return b"\n".join(rows)


def yaml_tree(draw: random.Random, data: bytes) -> bytes:
    """YAML with another value somewhere."""
    import yaml

    changed = tree(draw, yaml.load(data, getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    return yaml.safe_dump(changed, sort_keys=False).encode("utf-8", "surrogatepass")


def yaml_bomb(draw: random.Random, data: bytes) -> bytes:
    """YAML with aliases of aliases, which stand for more than any memory holds."""
    depth, width = draw.choice(((3, 3), (9, 9), (20, 5))), draw.choice(("[", "{"))
    levels = ["a0: &a0 lol"]
    for level in range(1, depth[0]):
        inner = ", ".join((f"*a{level - 1}" if width == "[" else f"k{i}: *a{level - 1}") for i in range(depth[1]))
        levels.append(f"a{level}: &a{level} " + (f"[{inner}]" if width == "[" else f"{{{inner}}}"))
    rows = data.decode(errors="replace").splitlines()
    place = draw.randrange(len(rows) + 1)
    if rows and draw.random() < 0.5:  # a value becomes the bomb
        key = rows[place % len(rows)].partition(":")[0]
        rows[place % len(rows)] = f"{key}: *a{depth[0] - 1}"
    return "\n".join([*levels, *rows]).encode()


# --- PNG


def png_chunk(draw: random.Random, data: bytes) -> bytes:
    """PNG with a chunk changed, left out, doubled or moved, and right checksums."""
    chunks = list(_chunks(data))
    place = draw.randrange(len(chunks))
    name, body = chunks[place]
    act = draw.random()
    if act < 0.15:
        del chunks[place]
    elif act < 0.3:
        chunks.insert(draw.randrange(len(chunks)), chunks[place])
    elif act < 0.45:
        chunks.insert(draw.randrange(1, len(chunks)), draw.choice(PNG_CHUNKS))
    elif name == b"IHDR":
        start, size = draw.choice(((0, 4), (4, 4), (8, 1), (9, 1), (10, 1), (12, 1)))
        value = draw.choice((*NUMBERS, 4, 6, 16, 9000, 10_001, 30_000)) % (1 << (8 * size))
        chunks[place] = name, body[:start] + value.to_bytes(size, "big") + body[start + size :]
    elif name in (b"IDAT", b"fdAT"):
        head = body[:4] if name == b"fdAT" else b""
        chunks[place] = name, head + zlib.compress(draw.choice(BYTES)(draw, zlib.decompress(body[len(head) :])))
    else:
        chunks[place] = name, draw.choice(BYTES)(draw, body)
    return data[:8] + b"".join(chunk(*one) for one in chunks)


PNG_CHUNKS = (
    (b"iCCP", b"x\0\0" + zlib.compress(bytes(1 << 20))),
    (b"zTXt", b"x\0\0" + zlib.compress(bytes(1 << 22))),
    (b"iTXt", b"x\0\1\0\0\0" + zlib.compress(b"a" * (1 << 22))),
    (b"tEXt", b"x\0y"),
    (b"eXIf", b"MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\x06\0\0\0\0\0\0"),
    (b"eXIf", b"MM\0*\0\0\0\x08\xff\xff\1\x12\0\3\xff\xff\xff\xff\0\x06\0\0"),
    (b"tRNS", bytes(256)),
    (b"PLTE", bytes(768)),
    (b"acTL", b"\xff\xff\xff\xff\0\0\0\0"),
    (b"fcTL", b"\0\0\0\0\0\0\0\x08\0\0\0\x08\x7f\xff\xff\xff\0\0\0\0\0\1\0\1\0\0"),
    (b"gAMA", b"\0\0\0\0"),
    (b"pHYs", bytes(9)),
    (b"IEND", b""),
)


def chunk(name: bytes, body: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _chunks(data: bytes) -> Any:
    place = 8
    while place + 12 <= len(data):
        (size,) = struct.unpack_from(">I", data, place)
        yield data[place + 4 : place + 8], data[place + 8 : place + 8 + size]
        place += 12 + size


# --- pickles and safetensors

OPCODES = (
    *(
        b"cos\nsystem\n(S'echo x'\ntR",
        b"cbuiltins\neval\n(Vprint(1)\ntR",
        b"\x8c\x02os\x8c\x06system\x93\x8c\x01x\x85R",
    ),
    *(b"cbuiltins\ngetattr\n", b"i__main__\nx\n", b"(ios\nsystem\n", b"\x82\x01"),
    *(b"}", b"]", b")", b"(", b"t", b"R", b"b", b"s", b"u", b"e", b"a", b"0", b"2", b"N", b"Q", b"P0\n", b"."),
    *(b"K\xff", b"M\xff\xff", b"J\xff\xff\xff\xff", b"\x8a\x08" + b"\xff" * 8, b"h\x00", b"j\xff\xff\xff\x7f"),
    *(b"q\x00", b"r\xff\xff\xff\x7f", b"\x94", b"\x81", b"\x92", b"\x90", b"\x91", b"\x8e" + b"\xff" * 8),
    *(b"\x8d" + b"\xff" * 8, b"B\xff\xff\xff\xff", b"X\xff\xff\xff\xff", b"I999999999999\n", b"F1e999\n"),
    *(b"S'\\xZZ'\n", b"V\\ud800\n", b"\x85" * 2000),
)
"""Steps of a pickle that ask for something, or for too much."""


def opcodes(draw: random.Random, data: bytes) -> bytes:
    """A pickle with a step changed, left out, doubled or put in."""
    begin = max(data.find(b"\x80"), 0) if draw.random() < 0.9 else 0
    places = [begin]
    try:
        for _, _, place in pickletools.genops(data[begin : begin + 40_000]):
            places.append(begin + (place or 0))
            if len(places) > 600:
                break
    except Exception:  # damaged before
        pass
    first = draw.randrange(len(places))
    start = places[first]
    end = places[min(first + draw.choice((1, 1, 2, 5)), len(places) - 1)]
    other = draw.randrange(len(places))
    piece = data[places[other] : places[min(other + draw.choice((1, 2, 4)), len(places) - 1)]]
    middle = draw.choice((b"", data[start:end] * 2, draw.choice(OPCODES), draw.choice(OPCODES), piece))
    return data[:start] + middle + data[draw.choice((start, end)) :]


def safetensors_head(draw: random.Random, data: bytes) -> bytes:
    """Safetensors with another header: types, shapes, offsets, metadata; sometimes with a wrong length before it."""
    (size,) = struct.unpack_from("<Q", data)
    head = json.loads(data[8 : 8 + size])
    if "__metadata__" in head and draw.random() < 0.5:  # JSON in a text in JSON
        name = draw.choice(list(head["__metadata__"]))
        head["__metadata__"][name] = json_tree(draw, head["__metadata__"][name].encode()).decode()
    else:
        head = tree(draw, head)
    text = json.dumps(head).encode()
    length = len(text) if draw.random() < 0.9 else draw.choice(NUMBERS) % 2**64
    return struct.pack("<Q", length) + text + data[8 + size :]


STRUCTURED: dict[str, tuple[Mutator, ...]] = {
    ".json": (json_tree, json_tree, json_tree, json_twice),
    ".jsonl": (lines,),
    ".yaml": (yaml_tree, yaml_tree, yaml_tree, yaml_bomb),
    ".png": (png_chunk,),
    ".pkl": (opcodes,),
    ".safetensors": (safetensors_head,),
}
"""By the ending of a file's name."""


def _inner(draw: random.Random, name: str, data: bytes) -> bytes:
    return mutated(draw, name, data, (data,))


STRUCTURED[".zip"] = (archives.of_members(_inner), archives.names, archives.directory)
STRUCTURED[".npz"] = STRUCTURED[".pt"] = STRUCTURED[".zip"]
STRUCTURED[".tar"] = (archives.of_tar(_inner),)
