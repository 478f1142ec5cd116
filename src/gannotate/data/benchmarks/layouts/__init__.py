"""How public datasets lie on disk: one file a layout, each shared by several benchmarks."""

from gannotate.data.benchmarks.layouts.numbered import Numbered
from gannotate.data.benchmarks.layouts.pairs import Pairs
from gannotate.data.benchmarks.layouts.part_masks import PartMasks
from gannotate.data.benchmarks.layouts.pascal_part import PascalPart

__all__ = ["Numbered", "Pairs", "PartMasks", "PascalPart"]
