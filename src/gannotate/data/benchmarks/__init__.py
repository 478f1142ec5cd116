"""The public datasets of the papers as benchmarks: layout, class merges, splits, size and protocol, as data."""

from gannotate.data.benchmarks.declaration import Benchmark, find_benchmark, shipped
from gannotate.data.benchmarks.reading import BenchmarkSplit, LabelledPicture, load_benchmark

__all__ = ["Benchmark", "BenchmarkSplit", "LabelledPicture", "find_benchmark", "load_benchmark", "shipped"]
