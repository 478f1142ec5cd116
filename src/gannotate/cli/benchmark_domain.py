"""`gannotate data domain`: a public dataset as a domain that every study runs on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cyclopts import Parameter

from gannotate.cli import show
from gannotate.cli.benchmarks import Counting
from gannotate.cli.flags import Common, settings
from gannotate.data.benchmarks import Benchmark, find_benchmark
from gannotate.data.benchmarks.domains import DomainChoice, DomainPart, domain_sources, write_domain
from gannotate.data.benchmarks.exporting import Exported
from gannotate.data.writing import check_new
from gannotate.wording import counted, quoted


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class DomainFlags(Common):
    """Flags of `data domain`."""

    out: Path
    """New folder of the domain."""
    generator: Path | None = None
    """Folder of a generator of such pictures; its place is noted. `study run --generator DIR` gives one later."""
    latents: Path | None = None
    """Latents that draw the labelled pictures: DatasetGAN's latent_stylegan1.npy, or a folder of `gannotate invert`;
    the studies released-labels and real-label-methods then seek none. The place is noted."""
    unlabelled: Path | None = None
    """Folder or zip of unlabelled pictures in place of the benchmark's own split; its place is noted."""
    labelled: str = "train"
    """Split to learn from."""
    test: str = "test"
    """Split to test on; val while you still choose."""
    test_pictures: Path | None = None
    """Folder or zip of labelled pictures to test on in place of a split, e.g. the test.zip of another domain of the
    same classes; its place is noted."""
    first: int | None = None
    """Only the first so many pictures to learn from: the papers' few-label sets are the first ones of train."""
    size: int | None = None
    """Side in px; the benchmark's own when not given."""


def domain_verb(name: str, folder: Path, /, *, flags: DomainFlags) -> int:
    """Write a public dataset as a domain, on which `gannotate study run` does the papers' tables and figures.

    Args:
        name: the benchmark.
        folder: where its dataset was unpacked.
    """
    benchmark = find_benchmark(name)
    check_new(flags.out)
    choice = DomainChoice(
        labelled=flags.labelled,
        first=flags.first,
        test=flags.test,
        test_pictures=flags.test_pictures,
        unlabelled=flags.unlabelled,
        generator=flags.generator,
        latents=flags.latents,
        size=flags.size,
    )
    counting = Counting(flags, "domain, ")
    sources = domain_sources(benchmark, folder, choice, counting)
    if flags.dry_run:
        return show.plan(flags, [_would(source, flags.out) for source in sources], settings(flags))
    done = write_domain(benchmark, sources, flags.out, counting)
    lacking = [one for one in ("unlabelled", "generator") if one not in {source.name for source in sources}]
    notes = _notes(benchmark, sources, done, lacking)
    for note in notes:
        show.say(flags, note)
    result = {
        "out": str(flags.out),
        "benchmark": benchmark.name,
        "pictures": {which: found.pictures for which, found in done.items()},
        "skipped": {which: [vars(item) for item in found.skipped] for which, found in done.items()},
        "lacking": lacking,
        "notes": notes,
    }
    text = ", ".join(f"{found.pictures} {which}" for which, found in done.items())
    generator = " --generator DIR" if "generator" in lacking else ""
    study = "supervised-labels" if "unlabelled" in lacking else "gradient-matching"
    step = f"gannotate study run {study} --domain {quoted(flags.out)}{generator}"
    return show.finish(flags, result, f"{text} pictures in {flags.out}", step)


def _notes(
    benchmark: Benchmark, sources: Sequence[DomainPart], done: Mapping[str, Exported], lacking: Sequence[str]
) -> list[str]:
    """What one must know before a study's figures are compared with a paper's."""
    notes = [
        f"{which}: {counted(len(found.skipped), 'picture was', 'pictures were')} left out, the first: "
        f"{found.skipped[0].name}: {found.skipped[0].reason}"
        for which, found in done.items()
        if found.skipped
    ]
    notes += benchmark.notes
    networks = {one.data.label_source for one in sources if one.data is not None} - {"dataset"}
    notes += [f"the labels are answers of the {network}, not truth" for network in sorted(networks)]
    if "unlabelled" in lacking:
        notes.append(f"{benchmark.name} has no unlabelled pictures; studies that need some want --unlabelled DIR here")
    how = "but take the last checkpoint, and not one that pictures chose"
    return [*notes, f"studies score by the protocol {benchmark.protocol}, {how}"]


def _would(source: DomainPart, out: Path) -> str:
    if source.data is None:
        return f"note {source.path} as {source.name}"
    return f"write {len(source.data)} pictures of {source.data.name} into {out / (source.name + '.zip')}"
