"""`gannotate new`: a project from a generator, or from real pictures alone, and class names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from gannotate.cli import show
from gannotate.cli.flags import Common, settings
from gannotate.cli.real_pool import add_pictures
from gannotate.data.real_pictures import survey
from gannotate.errors import UsageError
from gannotate.labels import make_classes
from gannotate.project import Project, check_unused, digest
from gannotate.project_config import ClassEntry, DrawEntry, GeneratorEntry, MirrorEntry, ProjectConfig
from gannotate.record import now
from gannotate.wording import counted, quoted


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class NewFlags(Common):
    """Flags of `new`."""

    classes: str
    """Names of the classes with commas between them, the background first: background,nucleus,cytoplasm."""
    generator: Path | None = None
    """Folder of the generator (from `gannotate train-generator`), or a project that has one; it is copied."""
    pictures: Path | None = None
    """Folder or zip of real pictures, which become the pool; without --generator the project has real pictures only:
    to label, and to train on."""
    size: int | None = None
    """Side in px that the --pictures are brought to in a project without a generator; their own when not given."""
    crop: Annotated[bool, Parameter(negative="")] = False
    """Take the central square of --pictures that are not square."""
    colours: str | None = None
    """Colours of the classes, e.g. 282828,ff0000,00ff00; chosen for you when not given."""
    mirror: Literal["no", "yes", "swap"] | None = None
    """May pictures be flipped left-right: no, yes, or swap with pairs of classes; no when not given."""
    swap: str | None = None
    """Pairs of classes that a flip exchanges, by id or name: 1:2 or left:right,5:6."""
    turn90: Annotated[bool, Parameter(negative="")] = False
    """Pictures may be turned by 90 degrees."""
    psi: float | None = None
    """Truncation of the project's generated pictures: 1, the full variety, when not given; lower is more usual."""
    cutoff: int | None = None
    """Truncate only the first so many styles; all when not given."""
    noise: Literal["const", "seeded", "none"] | None = None
    """Per-pixel noise of the generated pictures: const (one for all; when not given), seeded (each its own) or none."""


def new(project: Path, /, *, flags: NewFlags) -> int:
    """Make a project from a generator, or from real pictures, and the names of the classes.

    Args:
        project: the new folder.
    """
    check_unused(project)
    generator = None if flags.generator is None else generator_given(flags.generator)
    config = config_of(project, flags, generator)
    if flags.dry_run:
        steps = [f"make {project} with {len(config.classes)} classes"]
        steps += [f"copy {generator} into it"] if generator else []
        steps += [f"add the pictures in {flags.pictures} to its pool"] if flags.pictures else []
        return show.plan(flags, steps, settings(flags) | {"project": config.model_dump(mode="json")})
    added: list[int] = []

    def fill(building: Project) -> None:
        if flags.pictures:
            added.extend(add_pictures(building, flags.pictures, flags))

    made = Project.create(project, config, generator, fill)
    result = {"project": str(made.folder), "real_pictures": len(added), **config.model_dump(mode="json")}
    channels = "grey" if config.image_channels == 1 else "RGB"
    text = f"{made.folder}: {len(config.classes)} classes, {config.size} px {channels} pictures"
    text += f", {counted(len(added), 'real one')} in the pool" if added else ""
    step = f"gannotate sample {quoted(project)} -n 20" if generator else f"gannotate annotate {quoted(project)}"
    return show.finish(flags, result, text, step)


def config_of(project: Path, flags: NewFlags, generator: Path | None) -> ProjectConfig:
    """project.yaml as the flags ask for it, with the generator in the folder `generator`.

    Raises:
        UsageError: neither a generator nor pictures; names, colours or pairs that do not fit.
    """
    names = [name.strip() for name in flags.classes.split(",")]
    entries = [ClassEntry(name=item.name, colour=item.colour) for item in make_classes(names)]
    check_background(names)
    if flags.colours is not None:
        entries = with_colours(entries, flags.colours)
    mirror = mirror_of(flags.mirror, flags.swap, names)
    mirror.with_ids(names)
    if flags.pictures is None and flags.crop:
        raise UsageError("--crop cuts real pictures; give them with --pictures DIR, or leave it out")
    if generator is not None:
        if flags.size is not None:
            raise UsageError("--size and --generator were both given; the pictures have the generator's size")
        entry, size, channels, draw = generated(generator, flags)
    elif flags.pictures is not None:
        _check_nothing_drawn(flags)
        entry, draw, (size, channels) = None, DrawEntry(), survey(flags.pictures, flags.size, flags.crop)
    else:
        raise UsageError("a project needs --generator DIR (from `gannotate train-generator`) or --pictures DIR")
    return ProjectConfig(
        name=project.resolve().name,
        created=now(),
        size=size,
        image_channels=3 if channels == 3 else 1,
        classes=tuple(entries),
        mirror=mirror,
        turn90=flags.turn90,
        draw=draw,
        generator=entry,
    )


def check_background(names: Sequence[str]) -> None:
    """Checks that a class called background is the first one: class 0 is what is left when nothing else is labelled.

    Raises:
        UsageError: it stands further behind.
    """
    lower = [name.casefold() for name in names]
    if "background" in lower[1:]:
        place = lower.index("background")
        first = [names[place], *names[:place], *names[place + 1 :]]
        raise UsageError(
            f"the first class is the background, and {names[0]!r} stands before {names[place]!r}; give --classes "
            f"{quoted(','.join(first))}"
        )


def generator_given(path: Path) -> Path:
    """The folder of the generator that --generator names: that itself, or the one in a project.

    Raises:
        UsageError: a file, or a project of real pictures alone.
    """
    if path.is_file():
        raise UsageError(f"--generator is the file {path}; give its folder, {path.parent}")
    return Project.open(path).generator_folder if (path / "project.yaml").exists() else path


def _check_nothing_drawn(flags: NewFlags) -> None:
    for name in ("psi", "cutoff", "noise"):
        if getattr(flags, name) is not None:
            raise UsageError(f"--{name} says how a generator draws; give one with --generator DIR, or leave it out")


def generated(folder: Path, flags: NewFlags) -> tuple[GeneratorEntry, int, int, DrawEntry]:
    """What project.yaml says of a generator; its size in px and its channels; how it draws.

    Raises:
        UsageError: it cannot draw as the flags ask.
    """
    # torch: whatever is wrong with the other flags is told before
    from gannotate.cli.generate import check_cutoff
    from gannotate.generators.base import DrawOptions
    from gannotate.generators.build import load_generator, read_config

    given = {name: getattr(flags, name) for name in ("psi", "cutoff", "noise")}
    options = DrawOptions(**{name: value for name, value in given.items() if value is not None})
    about = read_config(folder)
    generator = load_generator(folder)  # whole, before anything is made from it
    check_cutoff(flags.cutoff, generator)
    entry = GeneratorEntry(
        source=str(folder),
        architecture=about["generator"]["architecture"],
        sha256=digest(folder / "model.safetensors"),
        about=about.get("about", {}),
    )
    return entry, generator.size, generator.image_channels, DrawEntry(**asdict(options))


def with_colours(entries: Sequence[ClassEntry], colours: str) -> list[ClassEntry]:
    """The classes with colours like ff0000,#00ff00.

    Raises:
        UsageError: another number of colours than classes, or no six hexadecimal digits.
    """
    words = [word.strip().lstrip("#") for word in colours.split(",")]
    if len(words) != len(entries):
        raise UsageError(f"--colours has {counted(len(words), 'colour')} for {len(entries)} classes; give one a class")
    coloured = []
    for entry, word in zip(entries, words, strict=True):
        try:
            red, green, blue = bytes.fromhex(word)
        except ValueError as error:
            raise UsageError(f"{word!r} is no colour; give six hexadecimal digits, e.g. ff8800") from error
        coloured.append(ClassEntry(name=entry.name, colour=(red, green, blue)))
    return coloured


def mirror_of(rule: Literal["no", "yes", "swap"] | None, swap: str | None, names: Sequence[str]) -> MirrorEntry:
    """The mirror rule from --mirror and --swap.

    Raises:
        UsageError: the two contradict each other, or a pair is not like 1:2 or left:right.
    """
    if swap is None:
        if rule == "swap":
            raise UsageError("--mirror swap needs the pairs of classes that a flip exchanges; add e.g. --swap 1:2")
        return MirrorEntry(rule=rule or "no")
    if rule not in (None, "swap"):
        raise UsageError(f"--mirror {rule} and --swap contradict each other; leave one out")
    return MirrorEntry(rule="swap", pairs=tuple(_pair(word, names) for word in swap.split(",")))


def _pair(word: str, names: Sequence[str]) -> tuple[str, str]:
    parts = [part.strip() for part in word.split(":")]
    if len(parts) != 2:
        raise UsageError(f"--swap has {word!r}; give pairs like 1:2 or left:right, with commas between them")
    named = []
    for part in parts:
        if part.isdecimal() and int(part) < len(names) and part not in names:
            part = names[int(part)]
        elif part.isdecimal() and part not in names:
            raise UsageError(f"--swap names class {part}; the {len(names)} classes are 0 to {len(names) - 1}")
        named.append(part)
    return named[0], named[1]
