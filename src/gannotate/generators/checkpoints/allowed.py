"""The short list of names that a foreign generator may use, and the inert thing that stands in for each."""

from __future__ import annotations

from collections.abc import Callable, Sized
from typing import Any

from gannotate.generators.checkpoints import arrays
from gannotate.generators.checkpoints.stream import Holder, Name, damaged, key_of, refuse, shown

Stand = Callable[[tuple[Any, ...]], Any]
"""Answers a call, given its arguments."""

MOST_GIVEN = 4
"""Items and bytes that a pickle's calls may be given, per byte of the pickle."""

MODULE_OF_STORAGES = ("torch", "torch.cuda")


class Allowed:
    """The allow-list of one pickle.

    Args:
        size: bytes of the pickle. What calls are given may not be longer than a few times that, all together: a file
            that hands one long list to thousands of calls would grow without bounds.
        load_nested: reads a storage from the bytes of a whole torch file inside the pickle; None refuses those.
        persistent: answers persistent ids; None refuses them.
    """

    def __init__(
        self,
        size: int,
        load_nested: Callable[[memoryview], Any] | None = None,
        persistent: Callable[[Any], Any] | None = None,
    ) -> None:
        self._left = MOST_GIVEN * size
        self._persistent = persistent
        self._calls = dict(CALLS)
        if load_nested is not None:
            self._calls["torch.storage", "_load_from_bytes"] = lambda given: load_nested(
                arrays.bytes_of(_only(given, 1)[0])
            )

    def resolve(self, module: str, name: str) -> Name:
        """The name, when a generator may use it.

        Raises:
            Unreadable: it may not.
        """
        if (module, name) in self._calls or (module, name) in TYPES or _is_storage(module, name):
            return Name(module, name)
        refuse(str(Name(module, name)))

    def call(self, name: Name, arguments: tuple[Any, ...]) -> Any:
        """What stands in for the call."""
        stand = self._calls.get((name.module, name.name))
        if stand is None:
            refuse(f"a call of {name}")
        self._left -= sum(len(item) for item in arguments if isinstance(item, Sized))
        if self._left < 0:
            raise damaged("its pickle uses the same content over and over")
        return stand(arguments)

    def set_state(self, thing: Any, state: Any) -> None:
        """Stores what a file says of an object's attributes, where it is of interest."""
        if isinstance(thing, arrays.NumberFormat | arrays.ArrayShell):
            thing.set_state(state)
        elif isinstance(thing, Holder) and thing.state is None:
            thing.state = state
        elif not isinstance(thing, dict):  # of a dictionary: torch's version notes, not needed
            refuse(f"setting the attributes of {thing if isinstance(thing, Name) else shown(thing)}")

    def persistent(self, reference: Any) -> Any:
        """The storage that a torch file names by a persistent id."""
        if self._persistent is None:
            refuse("an object outside the pickle (a persistent id)")
        return self._persistent(reference)


def _is_storage(module: str, name: str) -> bool:
    return module in MODULE_OF_STORAGES and name in arrays.STORAGE_KINDS


def _only(arguments: tuple[Any, ...], least: int, most: int | None = None) -> tuple[Any, ...]:
    most = least if most is None else most
    if not least <= len(arguments) <= most:
        raise damaged(f"a call with {len(arguments)} arguments where {least} are due")
    return arguments


def _dictionary(arguments: tuple[Any, ...]) -> dict[Any, Any]:
    if not _only(arguments, 0, 1):
        return {}
    (pairs,) = arguments
    if isinstance(pairs, dict):
        return dict(pairs)
    if not isinstance(pairs, list | tuple) or not all(isinstance(p, list | tuple) and len(p) == 2 for p in pairs):
        raise damaged("a dictionary made of something else than pairs")
    return {key_of(key): value for key, value in pairs}


def _tuple(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    (items,) = _only(arguments, 1)
    if not isinstance(items, list | tuple):
        raise damaged(f"a size made of {shown(items)}")
    return tuple(items)


def _set(arguments: tuple[Any, ...]) -> set[Any]:
    return {key_of(item) for item in _tuple(arguments)} if arguments else set()


def _no_bytes(arguments: tuple[Any, ...]) -> bytes:
    _only(arguments, 0)
    return b""


def _encoded(arguments: tuple[Any, ...]) -> memoryview:
    text, encoding = _only(arguments, 2)
    if encoding != "latin1" or not isinstance(text, str):
        refuse(f"_codecs.encode to {shown(encoding)}")
    return arrays.bytes_of(text)


def _tensor(arguments: tuple[Any, ...]) -> arrays.ForeignArray:
    return arrays.view_of(*_only(arguments, 6, 7)[:4])


def _parameter(arguments: tuple[Any, ...]) -> arrays.ForeignArray:
    data = _only(arguments, 3)[0]
    if not isinstance(data, arrays.ForeignArray):
        raise damaged(f"a parameter made of {shown(data)}")
    return data


def _array(arguments: tuple[Any, ...]) -> arrays.ArrayShell:
    if _only(arguments, 3)[0] != Name("numpy", "ndarray"):
        raise damaged("an array of a class that is none of NumPy's")
    return arrays.ArrayShell()


def _array_of_bytes(arguments: tuple[Any, ...]) -> arrays.ForeignArray:
    data, number, shape, order = _only(arguments, 4)
    if not isinstance(number, arrays.NumberFormat):
        raise damaged(f"an array of {shown(number)}")
    return arrays.whole_array(number.number, shape, data, fortran=order == "F")


def _number(arguments: tuple[Any, ...]) -> int | float | bool:
    return arrays.scalar_of(*_only(arguments, 2))


def _number_format(arguments: tuple[Any, ...]) -> arrays.NumberFormat:
    return arrays.NumberFormat(_only(arguments, 1, 3)[0])


def _persistent_object(arguments: tuple[Any, ...]) -> Holder:
    """NVIDIA's networks: the class's name and attributes are kept, its source text is never compiled."""
    (meta,) = _only(arguments, 1)
    if not isinstance(meta, dict) or not isinstance(meta.get("class_name"), str):
        raise damaged("a network without its class's name")
    return Holder(meta["class_name"], meta.get("state"))


def _empty_holder(name: str) -> Stand:
    def make(arguments: tuple[Any, ...]) -> Holder:
        _only(arguments, 0)
        return Holder(name)

    return make


NUMPY_CORES = ("numpy.core", "numpy._core")
"""NumPy 1 and NumPy 2."""

CALLS: dict[tuple[str, str], Stand] = {
    ("collections", "OrderedDict"): _dictionary,
    ("dnnlib.util", "EasyDict"): _dictionary,
    ("builtins", "set"): _set,
    ("__builtin__", "set"): _set,
    ("builtins", "bytes"): _no_bytes,
    ("__builtin__", "bytes"): _no_bytes,
    ("_codecs", "encode"): _encoded,
    ("torch", "Size"): _tuple,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("numpy", "dtype"): _number_format,
    **{(f"{core}.multiarray", "_reconstruct"): _array for core in NUMPY_CORES},
    **{(f"{core}.multiarray", "scalar"): _number for core in NUMPY_CORES},
    **{(f"{core}.numeric", "_frombuffer"): _array_of_bytes for core in NUMPY_CORES},
    ("torch_utils.persistence", "_reconstruct_persistent_obj"): _persistent_object,
    ("dnnlib.tflib.network", "Network"): _empty_holder("Network"),
    ("argparse", "Namespace"): _empty_holder("Namespace"),
}
"""Names that may be called, and what answers."""

TYPES = frozenset({("numpy", "ndarray")})
"""Names that may only be mentioned."""
