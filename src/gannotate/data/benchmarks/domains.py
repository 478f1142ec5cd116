"""A benchmark as a domain of studies: its splits as zips beside a domain.yaml, which `gannotate study run` takes.

    labelled.zip  test.zip  unlabelled.zip  domain.yaml

The zips are as `export_split` writes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from gannotate.data.benchmarks.declaration import Benchmark
from gannotate.data.benchmarks.exporting import Exported, export_split
from gannotate.data.benchmarks.reading import BenchmarkSplit, load_benchmark, shared_names
from gannotate.data.benchmarks.tree import Told, Tree, silent
from gannotate.data.labelled import read_labelled
from gannotate.data.pictures import PictureSource
from gannotate.data.writing import check_new
from gannotate.errors import GannotateError, UsageError
from gannotate.files import appearing, write_text
from gannotate.wording import counted

DOMAIN_FILE = "domain.yaml"

LOOKED_AT_PX = 16
"""Side to which test pictures are brought while their classes are looked at."""


@dataclass(frozen=True, kw_only=True)
class DomainChoice:
    """What of a benchmark becomes a domain."""

    labelled: str = "train"
    """Split to learn from."""
    first: int | None = None
    """Only its first so many pictures; all when None."""
    test: str = "test"
    """Split to test on."""
    test_pictures: Path | None = None
    """Folder or zip of labelled pictures to test on in place of that split; named, not copied."""
    unlabelled: Path | None = None
    """Folder or zip of unlabelled pictures in place of the benchmark's own; named, not copied."""
    generator: Path | None = None
    """The generator; named, not copied. `study run --generator` gives it when None."""
    latents: Path | None = None
    """Latents with which that generator draws the labelled pictures: an array or a folder, see
    `inversion.known`; named, not copied."""
    size: int | None = None
    """Side in px; the benchmark's own when None."""


@dataclass(frozen=True)
class DomainPart:
    """One source of the domain: a split that is written, or a place that is named."""

    name: str
    data: BenchmarkSplit | None
    path: Path | None = None


def domain_sources(
    benchmark: Benchmark, folder: str | Path, choice: DomainChoice, told: Told = silent
) -> list[DomainPart]:
    """What goes into a domain; nothing is written.

    Args:
        told: called while many annotations are read to know which pictures there are.

    Raises:
        UsageError: no such folder or split, a split without labels, pictures that are learned from and tested on, too
            few for `first`, or no generator, unlabelled or test pictures where they were said to be. GannotateError:
            test pictures without label maps, or of other classes.
    """
    if choice.test_pictures is None and not any(name != choice.labelled for name in labelled_splits(benchmark)):
        raise UsageError(
            f"{benchmark.name} has no pictures to test on; name some with the same classes by --test-pictures, e.g. "
            "the test.zip of another domain"
        )
    for name in (choice.labelled, *([] if choice.test_pictures else [choice.test])):
        if not benchmark.split(name).labelled:
            raise UsageError(
                f"{name} of {benchmark.name} has no labels; use one of {', '.join(labelled_splits(benchmark))}"
            )
    if choice.generator is not None and not choice.generator.is_dir():
        raise UsageError(f"{choice.generator} is no folder; give the folder of a generator")
    tree = benchmark.tree(folder)
    tree.told = told
    labelled = load_benchmark(benchmark, tree, choice.labelled, choice.size).first(choice.first)
    if choice.latents is not None:
        _check_latents(choice.latents, labelled)
    sources = [DomainPart("labelled", labelled), _test(benchmark, tree, choice, labelled)]
    if choice.unlabelled is not None:
        PictureSource(choice.unlabelled)  # says what is wrong with it
        sources.append(DomainPart("unlabelled", None, choice.unlabelled.resolve()))
    elif "unlabelled" in benchmark.splits:
        sources.append(DomainPart("unlabelled", load_benchmark(benchmark, tree, "unlabelled", choice.size)))
    if choice.generator is not None:
        sources.append(DomainPart("generator", None, choice.generator.resolve()))
    if choice.latents is not None:
        sources.append(DomainPart("latents", None, choice.latents.resolve()))
    return sources


def _check_latents(latents: Path, labelled: BenchmarkSplit) -> None:
    """Refuses latents that are not there, and those of pictures that would not be as the generator draws them."""
    if not latents.exists():
        raise UsageError(f"{latents} does not exist; give an array of latents, e.g. latent_stylegan1.npy")
    for item in labelled.items if labelled.benchmark.fit != "pad" else ():
        try:
            width, height = item.picture().size
        except GannotateError:
            continue  # it is left out when it is written, and told then
        if width != height:
            raise UsageError(
                f"the picture {item.name} of {labelled.benchmark.name} is {width}x{height} px, and as a square it is "
                "not what its latents draw; use a benchmark that pads pictures, as car-20-padded does those of car-20, "
                "or leave the latents out"
            )


def labelled_splits(benchmark: Benchmark) -> list[str]:
    """Names of the splits that have labels."""
    return [name for name, split in benchmark.splits.items() if split.labelled]


def _test(benchmark: Benchmark, tree: Tree, choice: DomainChoice, labelled: BenchmarkSplit) -> DomainPart:
    """What is tested on, of which nothing is learned from."""
    if choice.test_pictures is not None:
        if choice.test != DomainChoice.test:
            raise UsageError(
                f"the split {choice.test} and {choice.test_pictures} were both given to test on; leave one of them out"
            )
        # small, as only their classes are looked at: a study would find out after its first training
        read_labelled(choice.test_pictures, len(benchmark.class_names), LOOKED_AT_PX, names=benchmark.class_names)
        return DomainPart("test", None, choice.test_pictures.resolve())
    test = load_benchmark(benchmark, tree, choice.test, choice.size)
    shared = shared_names(labelled, test)
    if shared:
        raise UsageError(
            f"{choice.labelled} and {choice.test} of {benchmark.name} share {counted(shared, 'picture')}; learn from "
            "and test on splits that share none"
        )
    return DomainPart("test", test)


def write_domain(benchmark: Benchmark, sources: list[DomainPart], out: str | Path, told: Told) -> dict[str, Exported]:
    """Writes the splits and domain.yaml into a new folder, which appears whole or not at all.

    Args:
        sources: from `domain_sources`. told: called with a source's name, its pictures so far, and all of them.

    Raises:
        UsageError: `out` exists. GannotateError: not one picture of a split can be read, or the disk is full.
    """
    out = Path(out)
    check_new(out)
    with appearing(out) as building:
        done = {one.name: _exported(one.name, one.data, building, told) for one in sources if one.data is not None}
        lines = _domain(benchmark, sources, done["labelled"].pictures)
        write_text(building / DOMAIN_FILE, yaml.safe_dump(lines, sort_keys=False, allow_unicode=True, width=120))
    return done


def _exported(name: str, data: BenchmarkSplit, out: Path, told: Told) -> Exported:
    return export_split(data, out / f"{name}.zip", lambda count: told(name, count, len(data)))


def _domain(benchmark: Benchmark, sources: list[DomainPart], labelled: int) -> dict[str, object]:
    flips, protocol = benchmark.flips, benchmark.scored_by
    scored = f"scored by the protocol {protocol.name}: {protocol.about}"
    pairs = ",".join(f"{a}:{b}" for a, b in flips.pairs)  # ids, as names may have blanks
    z = any(one.name == "latents" and one.path is not None and one.path.is_file() for one in sources)
    return {
        "title": benchmark.name,
        "about": " ".join(f"{text[:1].upper()}{text[1:]}." for text in (benchmark.about, *benchmark.notes, scored)),
        "classes": list(benchmark.class_names),
        "new": (f"--swap {pairs}" if pairs else f"--mirror {flips.rule}") + (_drawn(benchmark) if z else ""),
        "gan": "" if flips.rule == "no" else "--mirror",
        "score": f"--protocol {protocol.name}",
        "most": {"shots": labelled},
        "sources": {one.name: f"{one.name}.zip" if one.path is None else str(one.path) for one in sources},
    }


def _drawn(benchmark: Benchmark) -> str:
    """Flags of `gannotate new` by which its generated pictures come out of their latents again."""
    if benchmark.draw is None:
        return ""
    told = benchmark.draw.model_dump(exclude_defaults=True)
    return "".join(f" --{name} {value}" for name, value in told.items())
