"""`gannotate data benchmarks | check | export-benchmark | label`: the papers' public datasets in a folder."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from cyclopts import Parameter
from jaxtyping import UInt8

from gannotate.cli import show
from gannotate.cli.flags import Common, settings
from gannotate.data.benchmarks import Benchmark, find_benchmark, load_benchmark, shipped
from gannotate.data.benchmarks.exporting import export_split
from gannotate.data.benchmarks.inspection import NAMED, Report, SplitReport, inspect, sheet
from gannotate.data.benchmarks.labelling import class_use, label_pictures
from gannotate.data.benchmarks.networks import HuggingFaceLabeller, Labeller, OnnxLabeller, fingerprint
from gannotate.data.writing import check_new, encode_picture
from gannotate.errors import UsageError
from gannotate.files import write_bytes
from gannotate.wording import counted, quoted

TOLD_EVERY = 200
"""Pictures between two lines of progress."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ListFlags(Common):
    """Flags of `data benchmarks`."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class CheckFlags(Common):
    """Flags of `data check`."""

    full: Annotated[bool, Parameter(negative="")] = False
    """Read every picture with its labels, not a few of each split."""
    sheet: Path | None = None
    """PNG to show some pictures of each split in, under their labels; benchmark-NAME.png when not given."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ExportBenchmarkFlags(Common):
    """Flags of `data export-benchmark`."""

    split: str
    """Which split, e.g. train or test; `gannotate data benchmarks NAME` lists them."""
    out: Path
    """New folder, or new zip when it ends with .zip."""
    first: int | None = None
    """Only the first so many pictures: the papers' few-label sets are the first ones of train."""
    size: int | None = None
    """Side in px; the benchmark's own when not given."""
    grey: Annotated[bool, Parameter(negative="")] = False
    """Grey pictures, not RGB."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class LabelFlags(Common):
    """Flags of `data label`."""

    network: Path
    """The network: a Hugging Face folder (config.json, safetensors), an ONNX file, or a segmenter's folder."""
    replace: Annotated[bool, Parameter(negative="")] = False
    """Set the masks that are there aside (masks-1), and label all pictures."""


def benchmarks_verb(name: str | None = None, /, *, flags: ListFlags = ListFlags()) -> int:
    """List the public datasets that can be read, or show what one of them wants.

    Args:
        name: a benchmark, or a YAML file that declares one.
    """
    if name is None:
        rows = [("benchmark", "classes", "px", "protocol", "splits")]
        for one in shipped().values():
            rows.append((one.name, str(len(one.class_names)), str(one.size_px), one.protocol, " ".join(one.splits)))
        result = {"benchmarks": [as_dict(one) for one in shipped().values()]}
        return show.finish(flags, result, show.table(rows), "gannotate data benchmarks NAME")
    one = find_benchmark(name)
    return show.finish(flags, as_dict(one), as_text(one), f"gannotate data check {name} FOLDER")


def check_verb(name: str, folder: Path, /, *, flags: CheckFlags = CheckFlags()) -> int:
    """Say what of a public dataset is in a folder and what is missing, and show some of its pictures and labels.

    Args:
        name: the benchmark.
        folder: where its dataset was unpacked.
    """
    benchmark = find_benchmark(name)
    target = flags.sheet or Path(f"benchmark-{benchmark.name}.png")
    if flags.dry_run:
        return show.plan(flags, [f"look for {benchmark.name} in {folder}", f"write {target}"], settings(flags))
    report = inspect(benchmark, folder, flags.full, Counting(flags, "check, "))
    shown = any(seen for _, seen in report.shown)
    if shown:
        write_bytes(target, encode_picture(sheet(benchmark, report)))
    notes = notes_of(benchmark, report)
    for note in notes:
        show.say(flags, note)
    result = report.as_dict() | {"notes": notes, "sheet": str(target) if shown else None}
    there = [split.name for split in report.splits if split.complete]
    step = f"gannotate data benchmarks {name}"  # which files it wants
    if there:
        step = f"gannotate data export-benchmark {name} {quoted(folder)} --split {there[0]} --out DIR"
    if _by_network(benchmark) and not any(split.complete for split in report.splits if split.labelled):
        step = f"gannotate data label {name} {quoted(folder)} --network NETWORK"
    return show.finish(flags, result, report_text(report, str(target) if shown else ""), step)


def export_benchmark_verb(name: str, folder: Path, /, *, flags: ExportBenchmarkFlags) -> int:
    """Write a split as images/ and masks/, for --labelled and --test of every command.

    Args:
        name: the benchmark.
        folder: where its dataset was unpacked.
    """
    benchmark = find_benchmark(name)
    check_new(flags.out)
    tree, counting = benchmark.tree(folder), Counting(flags, "export, ")
    tree.told = counting
    data = load_benchmark(benchmark, tree, flags.split, flags.size, 1 if flags.grey else 3).first(flags.first)
    if flags.dry_run:
        return show.plan(flags, [f"write {len(data)} pictures into {flags.out}"], settings(flags))
    done = export_split(data, flags.out, lambda count: counting(flags.split, count, len(data)))
    for item in done.skipped[:NAMED]:
        show.say(flags, f"left out {item.name}: {item.reason}")
    if len(done.skipped) > NAMED:
        show.say(flags, f"... and {len(done.skipped) - NAMED} more were left out")
    expected = benchmark.splits[flags.split].count
    notes = list(benchmark.notes)
    if data.label_source != "dataset":
        notes.append(f"the labels are answers of the {data.label_source}, not truth")
    if flags.first is None and expected is not None and done.pictures != expected:
        notes.append(f"{flags.split} has {done.pictures} pictures here, {expected} as published: not comparable")
    for note in notes:
        show.say(flags, note)
    result = {
        "out": str(flags.out),
        "benchmark": benchmark.name,
        "split": flags.split,
        "pictures": done.pictures,
        "skipped": [vars(item) for item in done.skipped],
        "protocol": benchmark.protocol,
        "label_source": data.label_source,
        "notes": notes,
    }
    text = f"{done.pictures} pictures of {flags.split} in {flags.out}, {data.size_px} px"
    return show.finish(flags, result, text, _next_step(benchmark, data.size_px, flags))


def label_verb(name: str, folder: Path, /, *, flags: LabelFlags) -> int:
    """Label the pictures in FOLDER/images with a ready network: FOLDER/masks, and labels.json that says by which.

    Args:
        name: the benchmark, whose classes the network's become.
        folder: the folder with images/.
    """
    benchmark = find_benchmark(name)
    labeller = open_labeller(flags.network, flags)
    used = class_use(benchmark, labeller)
    if flags.dry_run:
        would = [f"{cls} from {', '.join(names) or 'nothing'}" for cls, names in used.items()]
        return show.plan(flags, [f"label the pictures in {folder}/images", *would], settings(flags))
    counts, skipped, counting = {"labelled": 0, "kept": 0}, [], Counting(flags)
    for one in label_pictures(
        benchmark, folder, labeller, flags.network.name, fingerprint(flags.network), flags.replace
    ):
        if one.skipped:
            skipped.append(vars(one.skipped))
            show.say(flags, f"left out {one.skipped.name}: {one.skipped.reason}")
        else:
            counts["kept" if one.kept else "labelled"] += 1
        counting("label", one.done, one.total)
    result = {"folder": str(folder), **counts, "skipped": skipped, "classes": used}
    text = f"{counts['labelled']} pictures labelled in {folder}/masks, {counts['kept']} were labelled already"
    return show.finish(flags, result, text, f"gannotate data check {name} {quoted(folder)}")


class _Segmenter:
    """A segmenter of ours as a Labeller."""

    def __init__(self, predictor: Any) -> None:
        self.predictor = predictor
        self.labels = tuple(item.name for item in predictor.config.class_infos)

    def __call__(self, picture: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w"]:
        return self.predictor.predict([picture])[0]


def open_labeller(path: Path, flags: Common) -> Labeller:
    """A network by its file or folder, whoever made it.

    Raises:
        UsageError: nothing there, or of no kind that is read. GannotateError: damaged, or a package is missing.
    """
    from gannotate.cli.device import prepare
    from gannotate.segmenters.loading import load_predictor
    from gannotate.segmenters.onnx_runtime import OnnxSegmenter, need_packages

    if not path.exists():
        raise UsageError(f"{path} does not exist; give a Hugging Face folder, an ONNX file or a segmenter's folder")
    device = prepare(flags)
    if path.is_file():
        need_packages("onnxruntime")
        try:
            return _Segmenter(OnnxSegmenter.load(path))
        except UsageError:  # not one of ours
            return OnnxLabeller(path)
    if _is_hugging_face(path):
        return HuggingFaceLabeller(path, device)
    return _Segmenter(load_predictor(path, device))


def _is_hugging_face(folder: Path) -> bool:
    try:
        text = (folder / "config.json").read_text()
    except (OSError, UnicodeDecodeError):
        return False
    return '"model_type"' in text or '"id2label"' in text


def _by_network(benchmark: Benchmark) -> bool:
    return any(split.labels.startswith("masks/") for split in benchmark.splits.values())


def as_dict(one: Benchmark) -> dict[str, Any]:
    """A benchmark ready for json."""
    return one.model_dump(mode="json", exclude={"layout", "roots", "source", "classes"}) | {
        "layout": one.layout.kind,
        "classes": {name: list(one.merge.table[name]) for name in one.class_names},
    }


def as_text(one: Benchmark) -> str:
    """What a person wants to know of a benchmark."""
    protocol = one.scored_by
    lines = [f"{one.name}: {one.about}", f"paper: {one.paper}", f"get: {one.get}", f"licence: {one.licence}"]
    lines += [f"cite: {one.attribution}", f"protocol: {protocol.name}, {protocol.about}"]
    lines += [f"size: {one.size_px} px ({one.fit})", f"flips: {one.mirror.rule}", "classes:"]
    for index, (name, words) in enumerate(one.merge.table.items()):
        lines.append(f"  {index:>2} {name}" + (f" <- {', '.join(words)}" if words and words != (name,) else ""))
    lines.append("splits:")
    for name, split in one.splits.items():
        count = "" if split.count is None else f", {split.count} pictures"
        files = split.folder or split.pictures
        about = ", ".join(part for part in (split.about, files, "" if split.labelled else "no labels") if part)
        lines.append(f"  {name}: {about or 'see the paper'}{count}")
    lines += [f"note: {note}" for note in (*one.notes, *protocol.notes())]
    return "\n".join(lines)


def notes_of(benchmark: Benchmark, report: Report) -> list[str]:
    """What one must know of a folder before its figures are compared."""
    notes = [
        f"NOTE: {pair} share {count} pictures; take a split without them to learn from"
        for pair, count in report.shared.items()
        if {"val", "test"} & set(pair.split(" and "))  # train and unlabelled may be the same pictures
    ]
    for split in report.splits:
        if split.error:
            notes.append(f"{split.name}: {split.error}")
            continue
        if not split.pictures:
            notes.append(f"{split.name}: no picture found in {split.place}")
        elif split.expected not in (None, split.pictures):
            notes.append(f"{split.name}: {counted(split.pictures, 'picture')}, {split.expected} as published")
        if split.missing_files:
            more = f", ... ({split.missing_files} in all)" if split.missing_files > len(split.missing) else ""
            notes.append(f"{split.name} misses {', '.join(split.missing)}{more}")
        notes += [f"{split.name}: {item.name} is damaged: {item.reason}" for item in split.damaged[:NAMED]]
        if split.unanswered:
            notes.append(
                f"NOTE: {split.name} has 255 (not labelled) and the background in its label maps, and no other class; "
                f"write class ids, 0 to {len(benchmark.class_names) - 1}, where 255 stands for a class"
            )
        if len(split.damaged) > NAMED:
            notes.append(f"{split.name}: ... and {len(split.damaged) - NAMED} more damaged pictures")
    return [*notes, *benchmark.notes, *benchmark.scored_by.notes()]


def report_text(report: Report, target: str) -> str:
    """What is there, one row a split."""
    rows: list[Sequence[str]] = [("split", "pictures", "published", "complete", "read", "damaged", "")]
    for one in report.splits:
        rows.append((*_counts(one), "whole" if one.whole else "not whole"))
    return show.table(rows) + (f"\nsome of them under their labels in {target}" if target else "")


def _counts(one: SplitReport) -> tuple[str, ...]:
    if one.error:
        return (one.name, "-", "-" if one.expected is None else str(one.expected), "-", "-", "-")
    published = "-" if one.expected is None else str(one.expected)
    return one.name, str(one.pictures), published, str(one.complete), str(one.looked_at), str(len(one.damaged))


def _next_step(benchmark: Benchmark, size_px: int, flags: ExportBenchmarkFlags) -> str:
    if not benchmark.splits[flags.split].labelled:
        return f"gannotate train-generator {quoted(flags.out)} --size {size_px}"
    if flags.split == "test":
        return f"gannotate evaluate PROJECT --test {quoted(flags.out)} --protocol {benchmark.protocol}"
    flips, words = benchmark.flips, quoted(",".join(benchmark.class_names))
    mirror = " --swap " + ",".join(f"{a}:{b}" for a, b in flips.pairs) if flips.pairs else f" --mirror {flips.rule}"
    crop = " --crop" if benchmark.fit == "short-side" else ""  # a project's pictures are squares
    return f"gannotate new PROJECT --classes {words} --pictures {quoted(flags.out)} --size {size_px}{mirror}{crop}"


class Counting:
    """Lines of progress: how many of what are done, and how long the others will take."""

    def __init__(self, flags: Common, before: str = "") -> None:
        self.flags, self.before = flags, before
        self._began_s: dict[str, float] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        """A line now and then. It is called before the first one is done, or when it is."""
        began_s = self._began_s.setdefault(what, time.monotonic())
        if done % TOLD_EVERY == 0 and done < total:
            left_s = (time.monotonic() - began_s) * (total - done) / done
            show.say(self.flags, f"{self.before}{what}: {done}/{total}, about {show.clock(left_s)} left")
