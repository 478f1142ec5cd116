"""Pickles that would run code: each would call into the module `canary`, which is made up here, or do the like.

`canary` is put among the loaded modules, so that Python's own unpickler finds it and falls for these files.
"""

from __future__ import annotations

import contextlib
import copyreg
import functools
import io
import operator
import os
import pickle
import struct
import subprocess
import sys
import types
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

EXTENSION_CODE = 233


@dataclass(frozen=True)
class Hostile:
    """A file: what it is, its bytes, the words that the refusal must have, and whether Python's unpickler runs it."""

    name: str
    data: bytes
    told: str
    runs: bool = True


class Call:
    """Pickles as a call of `function`."""

    def __init__(self, function: Callable, *arguments: object) -> None:
        self.reduced = (function, arguments)

    def __reduce__(self):
        return self.reduced


@contextlib.contextmanager
def canary_module(path: Path) -> Iterator[types.ModuleType]:
    """The module `canary`, of which every use makes the file `path`."""
    module = types.ModuleType("canary")

    def touch(*arguments: object, **keywords: object) -> str:
        path.touch()
        return "sung"

    def ring() -> None:
        touch()

    class Bird:
        def __new__(cls, *arguments: object, **keywords: object):
            touch()
            return object.__new__(cls)

    class Egg:
        def __setstate__(self, state: object) -> None:
            touch()

    for name, thing in {"touch": touch, "ring": ring, "Bird": Bird, "Egg": Egg}.items():
        thing.__module__, thing.__qualname__ = "canary", name
        setattr(module, name, thing)
    sys.modules["canary"] = module
    copyreg.add_extension("canary", "ring", EXTENSION_CODE)
    try:
        yield module
    finally:
        copyreg.remove_extension("canary", "ring", EXTENSION_CODE)
        del sys.modules["canary"]


def text(word: str) -> bytes:
    """The opcodes of a text."""
    return b"X" + struct.pack("<I", len(word)) + word.encode()


def raw(data: bytes) -> bytes:
    """The opcodes of bytes."""
    return b"B" + struct.pack("<I", len(data)) + data


def name(full: str) -> bytes:
    """The opcodes of a name, e.g. `os.system`."""
    module, _, last = full.rpartition(".")
    return f"c{module}\n{last}\n".encode()


def call(full: str, *arguments: bytes) -> bytes:
    """The opcodes of a call; the arguments are opcodes too."""
    return name(full) + b"(" + b"".join(arguments) + b"tR"


def whole(opcodes: bytes, protocol: int = 4) -> bytes:
    """A pickle."""
    return b"\x80" + bytes([protocol]) + opcodes + b"."


def torch_zip(pickled: bytes, **storages: bytes) -> bytes:
    """torch's zip around a pickle; the storages' keys with a _ before."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/version", b"3\n")
        for key, data in storages.items():
            archive.writestr(f"archive/data/{key[1:]}", data)
    return buffer.getvalue()


def torch_legacy(pickled: bytes, about: bytes | None = None, keys: bytes | None = None, rest: bytes = b"") -> bytes:
    """torch's older container around a pickle."""
    head = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2)
    if about is None:
        about = pickle.dumps({"protocol_version": 1001, "little_endian": True}, 2)
    return head + about + pickled + (pickle.dumps([], 2) if keys is None else keys) + rest


def hostile_files(path: Path) -> list[Hostile]:
    """The files; `path` is what the shell commands in them would make. The module `canary` must be there."""
    touch = sys.modules["canary"].touch
    shell = f"touch '{path}'"
    source = f"__import__('pathlib').Path({str(path)!r}).touch()"
    system = f"{os.system.__module__}.system"
    return [
        *(Hostile(f"system {p}", pickle.dumps(Call(os.system, shell), p), system) for p in range(6)),
        *(Hostile(f"canary {p}", pickle.dumps(Call(touch, 1), p), "canary.touch") for p in range(6)),
        *_well_known(path, shell, source),
        *_chains(touch),
        *_opcodes(),
        *_on_allowed_names(touch),
        *_in_containers(pickle.dumps(Call(touch), 2)),
    ]


def _well_known(path: Path, shell: str, source: str) -> Iterator[Hostile]:
    yield Hostile("os.system", whole(call("os.system", text(shell))), "os.system")
    yield Hostile("eval", pickle.dumps(Call(eval, source), 4), "builtins.eval")
    yield Hostile("exec", pickle.dumps(Call(exec, source), 2), "__builtin__.exec")
    yield Hostile("Popen", pickle.dumps(Call(subprocess.Popen, ["touch", str(path)]), 4), "subprocess.Popen", False)
    yield Hostile("check_call", pickle.dumps(Call(subprocess.check_call, ["touch", str(path)]), 4), "check_call")
    yield Hostile("open", pickle.dumps(Call(open, str(path), "w"), 4), "io.open")
    yield Hostile("pickle.loads", whole(call("pickle.loads", raw(whole(call("canary.touch"))))), "pickle.loads")
    for full in ("torch.hub.load", "numpy.load", "torch.load", "runpy.run_path", "ctypes.CDLL", "webbrowser.open"):
        yield Hostile(full, whole(call(full, text("x"))), full, False)


def _chains(touch: Callable) -> Iterator[Hostile]:
    module = call("builtins.__import__", text("canary"))
    yield Hostile("import", whole(module), "builtins.__import__", False)
    yield Hostile("getattr", whole(call("builtins.getattr", module, text("touch")) + b")R"), "builtins.getattr")
    getter = call("operator.attrgetter", text("touch")) + b"(" + module + b"tR)R"
    yield Hostile("attrgetter", whole(getter), "operator.attrgetter")
    caller = call("operator.methodcaller", text("touch")) + b"(" + module + b"tR"
    yield Hostile("methodcaller", whole(caller), "operator.methodcaller")
    yield Hostile("partial", pickle.dumps(Call(functools.partial, touch), 4), "functools.partial", False)
    yield Hostile("dunder", pickle.dumps(Call(operator.methodcaller, "__reduce__"), 4), "methodcaller", False)
    dotted = text("torch._utils") + text("_rebuild_parameter.__globals__") + b"\x93"
    yield Hostile("globals of an allowed name", whole(dotted), "_rebuild_parameter.__globals__", False)


def _opcodes() -> Iterator[Hostile]:
    yield Hostile("INST", b"(icanary\ntouch\n.", "canary.touch")
    yield Hostile("OBJ", b"(ccanary\ntouch\no.", "canary.touch")
    yield Hostile("NEWOBJ", whole(name("canary.Bird") + b")\x81"), "canary.Bird")
    yield Hostile("NEWOBJ_EX", whole(name("canary.Bird") + b")}\x92"), "canary.Bird")
    yield Hostile("STACK_GLOBAL", whole(text("canary") + text("touch") + b"\x93)R"), "canary.touch")
    yield Hostile("BUILD", whole(name("canary.Egg") + b")\x81}b"), "canary.Egg")
    for opcode, form in ((b"\x82", "<B"), (b"\x83", "<H"), (b"\x84", "<i")):
        code = opcode + struct.pack(form, EXTENSION_CODE)
        yield Hostile(f"extension {form}", whole(code + b")R"), "extension registry")
    yield Hostile("persistent id in text", b"Pcanary\n.", "persistent id", False)
    yield Hostile("persistent id", whole(b"K\x01Q"), "persistent id", False)
    yield Hostile("buffer", whole(b"\x97", 5), "buffer outside", False)
    yield Hostile("deep down", whole(b"}" + text("G") + b"](" + call("canary.touch") + b"K\x01es"), "canary.touch")


def _on_allowed_names(touch: Callable) -> Iterator[Hostile]:
    ordered = name("collections.OrderedDict")
    yield Hostile("attributes of a class", whole(ordered + b"N}" + text("a") + b"K\x01s\x86b"), "OrderedDict", False)
    yield Hostile("keywords", whole(ordered + b")}" + text("a") + b"K\x01s\x92"), "keywords", False)
    method = text("collections") + text("OrderedDict.fromkeys") + b"\x93"
    yield Hostile("a method", whole(method), "OrderedDict.fromkeys", False)
    yield Hostile("a type called", whole(call("numpy.ndarray", b"K\x05")), "numpy.ndarray", False)
    yield Hostile("a storage called", whole(call("torch.FloatStorage", b"J\x00\x00\x00\x7f")), "FloatStorage", False)
    yield Hostile("codecs", whole(call("_codecs.encode", text("a"), text("zlib_codec"))), "_codecs.encode", False)
    yield Hostile("array of objects", pickle.dumps(np.array([Call(touch)], dtype=object), 4), "'O8'")
    array = call("numpy.core.multiarray._reconstruct", name("canary.Bird"), b"K\x00\x85", raw(b"b"))
    yield Hostile("array of a class", whole(array), "canary.Bird", False)
    old = call("copyreg._reconstructor", name("canary.Bird"), name("builtins.object"), b"N")
    yield Hostile("reconstructor", whole(old, 2), "copyreg._reconstructor", False)
    meta = b"}" + text("class_name") + text("Generator") + b"s" + text("state") + call("canary.touch") + b"s"
    persistent = call("torch_utils.persistence._reconstruct_persistent_obj", meta)
    yield Hostile("state of a network", whole(persistent), "canary.touch", False)


def _in_containers(inner: bytes) -> Iterator[Hostile]:
    def nested(data: bytes) -> bytes:
        return whole(call("torch.storage._load_from_bytes", raw(data)))

    empty = pickle.dumps({}, 2)
    yield Hostile("nested pickle", nested(inner), "neither in torch's zip nor", False)
    yield Hostile("nested torch file", nested(torch_legacy(inner)), "canary.touch", False)
    yield Hostile("nested torch zip", nested(torch_zip(inner)), "canary.touch", False)
    yield Hostile("nested twice", nested(torch_legacy(nested(torch_legacy(inner)))), "_load_from_bytes", False)
    yield Hostile("torch zip", torch_zip(inner), "canary.touch", False)
    yield Hostile("torch file", torch_legacy(inner), "canary.touch", False)
    yield Hostile("torch file's machine", torch_legacy(empty, about=inner), "canary.touch", False)
    yield Hostile("torch file's keys", torch_legacy(empty, keys=inner), "canary.touch", False)
    reference = b"(" + text("storage") + name("canary.Bird") + text("0") + text("cpu") + b"K\x01tQ"
    yield Hostile("class of a storage", torch_zip(whole(reference, 2)), "canary.Bird", False)
