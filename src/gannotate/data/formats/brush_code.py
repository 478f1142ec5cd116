"""Label Studio's code of a painted region: the run-length packing of @thi.ng/rle-pack over RGBA bytes.

Its documentation: 32 bits say how many words follow, 5 the bits of a word less one, four times 4 the bits of a block's
length less one. Then, block by block: 1 bit (a run, or single words), 2 bits which of the four lengths is used, the
length less one, and the word of the run or all the words. Label Studio packs the RGBA pixels of a canvas, a byte a
word, and says the bytes of the code as a list of numbers. A pixel belongs to the region by its alpha.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, UInt8

from gannotate.data.formats.base import check_area
from gannotate.errors import GannotateError

WORD_BITS, LENGTH_BITS = 8, (3, 4, 8, 16)
"""As Label Studio writes them."""

OPAQUE = 128
"""Alpha from which a pixel belongs to the region: a brush may leave a soft border."""

DAMAGED = "has a brush region whose code is damaged"


class Bits:
    """Reads numbers of so many bits, the highest first."""

    def __init__(self, data: bytes) -> None:
        self.data, self.place, self.left = data + bytes(8), 0, 8 * len(data)

    def take(self, count: int) -> int:
        """The next number of up to 32 bits.

        Raises:
            GannotateError: the data ends before.
        """
        if count > self.left:
            raise GannotateError(f"{DAMAGED}: it ends too early")
        start = self.place >> 3
        value = int.from_bytes(self.data[start : start + 5], "big") >> (40 - (self.place & 7) - count)
        self.place, self.left = self.place + count, self.left - count
        return value & ((1 << count) - 1)

    def take_bytes(self, count: int) -> UInt8[np.ndarray, " n"]:
        """The next `count` numbers of 8 bits."""
        if 8 * count > self.left:
            raise GannotateError(f"{DAMAGED}: it ends too early")
        start, shift = self.place >> 3, self.place & 7
        window = np.frombuffer(self.data, np.uint8, count + 1, start).astype(np.uint16)
        self.place, self.left = self.place + 8 * count, self.left - 8 * count
        return ((window[:-1] << shift | window[1:] >> (8 - shift)) & 255).astype(np.uint8)


def decode(code: Sequence[int], width: int, height: int) -> Bool[np.ndarray, "h w"]:
    """Where a region is.

    Raises:
        GannotateError: damaged, not of this size, or not a byte a word; checked before memory is taken.
    """
    check_area(width, height)
    try:
        bits = Bits(bytes(code))
    except ValueError as error:
        raise GannotateError(f"{DAMAGED}: its numbers are not 0 to 255") from error
    words, word_bits = bits.take(32), bits.take(5) + 1
    lengths = [bits.take(4) + 1 for _ in range(4)]
    if word_bits != WORD_BITS or words != 4 * width * height:
        raise GannotateError(f"{DAMAGED}: it holds {words} words of {word_bits} bits, {width}x{height} px have "
                             f"{4 * width * height} of 8")  # fmt: skip
    decoded, done = np.empty(words, np.uint8), 0
    while done < words:
        run, length = bits.take(1), bits.take(lengths[bits.take(2)]) + 1
        if done + length > words:
            raise GannotateError(f"{DAMAGED}: it holds more than it says")
        decoded[done : done + length] = bits.take(8) if run else bits.take_bytes(length)
        done += length
    return decoded.reshape(height, width, 4)[..., 3] >= OPAQUE


def encode(mask: Bool[np.ndarray, "h w"]) -> list[int]:
    """The code of a region: opaque white inside, transparent black outside, in runs only."""
    words = 4 * mask.size
    flat = mask.ravel()
    starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1, [flat.size]])
    bits = [_binary(words, 32), _binary(WORD_BITS - 1, 5), *(_binary(length - 1, 4) for length in LENGTH_BITS)]
    longest = 1 << LENGTH_BITS[-1]
    for start, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        left = 4 * (end - start)
        while left:
            length = min(left, longest)
            kind = next(place for place, count in enumerate(LENGTH_BITS) if length <= 1 << count)
            bits += ["1", _binary(kind, 2), _binary(length - 1, LENGTH_BITS[kind]), _binary(255 * bool(flat[start]), 8)]
            left -= length
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return list(int(text, 2).to_bytes(len(text) // 8, "big"))


def _binary(value: int, count: int) -> str:
    return format(value, f"0{count}b")
