"""One pass over several batches that processes share, e.g. labelled pictures followed by unlabelled ones."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gannotate.training.shares import Place, Share


class JoinedShare(Share):
    """The samples of several shares, one after the other in one tensor; use it as a context.

    Each batch may have another size, and be shared unevenly. `place` says how many samples these are, not which; the
    shares say that. `shares.whole` gives all processes' samples by process here, not by batch.
    """

    def __init__(self, shares: Sequence[Share]) -> None:
        own, of = sum(len(share.place) for share in shares), sum(share.place.of for share in shares)
        by_process = zip(*(share.counts for share in shares), strict=True)
        super().__init__(Place(0, own, of), [sum(counts) for counts in by_process])
        self.shares = tuple(shares)

    def _own(self, whole: Tensor) -> Tensor:
        """This process's of the numbers that were drawn for all: its part of each batch's, for each part."""
        each = len(whole) // (self.parts * self.place.of)
        lengths = [each * share.place.of for share in self.shares] * self.parts
        pieces = zip(self.shares * self.parts, whole.split(lengths), strict=True)
        return torch.cat([share._own(piece) for share, piece in pieces])
