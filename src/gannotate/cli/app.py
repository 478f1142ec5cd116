"""The command line: which verbs there are, and how their outcome becomes an exit code.

A verb's module is imported only when that verb is typed, so that `gannotate --help` answers at once. Adding a
verb is one file and one line in VERBS.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from gannotate import __doc__ as ABOUT
from gannotate import __version__
from gannotate.cli.processes import check_alone, one_of_many, sentence_of
from gannotate.errors import GannotateError, UsageError, nearest, unexpected

if TYPE_CHECKING:
    import cyclopts

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
"""Exit codes."""


class Verb(NamedTuple):  # not a dataclass: importing those takes longer than all the rest of `gannotate --help`
    """A command: its name, its line in the help, and `module:function` below gannotate.cli."""

    name: str
    about: str
    target: str
    many: bool = False
    """Whether several processes, started by torchrun, do it together."""
    goes_on: bool = False
    """Whether the same command, typed again, goes on where it was stopped (docs/robustness.md has all of them)."""

    def load(self) -> Callable[..., int]:
        """Imports the function; it takes what cyclopts parsed and returns the exit code."""
        module, function = self.target.split(":")
        return getattr(importlib.import_module(f"gannotate.cli.{module}"), function)


VERBS: dict[str, tuple[Verb, ...]] = {
    "On a project (its folder comes first)": (
        Verb("new", "Make a project from a generator and the names of the classes.", "new:new"),
        Verb("sample", "Draw pictures of the pool that is offered for labelling.", "sample:sample"),
        Verb("annotate", "Label pool pictures in the browser, while a model learns along.", "annotate:annotate"),
        Verb(
            "simulate",
            "Label pool pictures with a segmenter trained on other labels.",
            "simulate:simulate",
            goes_on=True,
        ),
        Verb("data", "Bring annotations to and from other tools, and read public datasets.", "data:data"),
        Verb(
            "fit",
            "Teach a decoder to read labels off the generator, from a few annotations.",
            "fit:fit",
            many=True,
            goes_on=True,
        ),
        Verb(
            "synthesize",
            "Write a labelled dataset with generator and decoder.",
            "synthesize:synthesize",
            many=True,
            goes_on=True,
        ),
        Verb(
            "train",
            "Train a segmentation network: on a dataset, on drawn or on labelled pictures.",
            "train:train",
            many=True,
            goes_on=True,
        ),
        Verb("evaluate", "Score a segmentation network on labelled test pictures.", "evaluate:evaluate"),
        Verb("predict", "Label pictures with a segmentation network.", "predict:predict", many=True),
        Verb("export", "Write a segmentation network as an ONNX file, with a model card.", "export:export"),
        Verb("report", "Write the page of a project or a study, one HTML file, or a dataset's card.", "report:report"),
    ),
    "Beside it": (
        Verb("render", "Render pictures with exact label maps.", "render:render"),
        Verb(
            "train-generator",
            "Train a generator on a folder or zip of pictures.",
            "train_generator:train_generator_verb",
            many=True,
            goes_on=True,
        ),
        Verb("import-generator", "Import a generator that somebody else trained.", "import_generator:import_generator"),
        Verb("generate", "Draw pictures of a generator by seed.", "generate:generate"),
        Verb("info", "Show a generator's taps, styles, parameters, memory and card.", "info:info"),
        Verb("mix", "Draw one seed's pictures with styles of another, side by side.", "mix:mix_verb"),
        Verb(
            "invert",
            "Find latents with which a generator draws given pictures.",
            "invert:invert",
            many=True,
            goes_on=True,
        ),
        Verb("quality", "Measure a generator: KID, FID, precision, recall, path length.", "quality:quality"),
        Verb(
            "pretrain",
            "Teach an encoder a generator's activations, to start from.",
            "pretrain:pretrain_verb",
            many=True,
            goes_on=True,
        ),
        Verb(
            "study",
            "Do the papers' tables and figures, on the pictures at hand.",
            "study:study",
            many=True,
            goes_on=True,
        ),
        Verb("demo", "Go from a shipped generator and 5 annotations to a segmentation network.", "demo:demo"),
        Verb("doctor", "Check this machine, and a project's files.", "doctor:doctor"),
    ),
}
"""Every verb, under its heading in the help."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code: 0 fine, 1 failed, 2 wrong usage, 130 stopped by Ctrl-C."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with one_of_many():
            return run(words)
    except GannotateError as error:
        return _fail(error, str(error), error.exit_code, words)
    except KeyboardInterrupt as error:
        return _fail(error, _stopped(words), INTERRUPTED, words)
    except BrokenPipeError:  # `gannotate ... | head`: nobody reads on
        sys.stderr.close()
        return FAILED
    except Exception as error:
        from gannotate.files import disk_trouble  # not needed for `gannotate --help`

        text = str(disk_trouble(error) or f"{unexpected(error)} (add -v for the traceback)")
        return _fail(error, text, FAILED, words)


def run(words: list[str]) -> int:
    """Runs the command in `words` (without the program's name); errors are raised.

    Raises:
        UsageError: no such command, or flags that do not parse.
    """
    if not words or words[0] in ("--help", "-h", "help"):
        sys.stdout.write(help_text())
        return OK
    if words[0] == "--version":
        sys.stdout.write(f"gannotate {__version__}\n")
        return OK
    return _dispatch(find_verb(words[0]), words)


def find_verb(name: str) -> Verb:
    """The verb called `name`.

    Raises:
        UsageError: none is called so; names the nearest.
    """
    verbs = {verb.name: verb for group in VERBS.values() for verb in group}
    if name not in verbs:
        hint = nearest(name, list(verbs))
        raise UsageError(f"there is no command {name!r}; `gannotate --help` lists them{hint}")
    return verbs[name]


def help_text() -> str:
    """What `gannotate --help` prints."""
    lines = [str(ABOUT).splitlines()[0], "", "Usage: gannotate COMMAND [FLAGS]"]
    for heading, verbs in VERBS.items():
        lines += ["", f"{heading}:"] + [f"  {verb.name:<18}{verb.about}" for verb in verbs]
    lines += ["", "`gannotate COMMAND --help` shows a command's flags; `gannotate --version` the version."]
    return "\n".join(lines) + "\n"


def parser_of(verb: Verb) -> cyclopts.App:
    """The cyclopts application that parses one verb."""
    import cyclopts

    from gannotate.cli.config_file import fill_from_config_file
    from gannotate.cli.help_text import Tidy
    from gannotate.cli.whole_numbers import check_whole_numbers

    app = cyclopts.App(
        name="gannotate",
        config=[fill_from_config_file, check_whole_numbers],
        version=__version__,
        result_action="return_value",
        suppress_keyboard_interrupt=False,
        help_format="plaintext",
        help_formatter=Tidy(),
    )
    app.command(verb.load(), name=verb.name)
    return app


def _dispatch(verb: Verb, words: list[str]) -> int:
    import cyclopts

    from gannotate.cli.mistyped import sentence_about

    if not verb.many and not {"--help", "-h"} & set(words):
        check_alone(verb.name)
    parser = parser_of(verb)
    try:
        code = parser(words, exit_on_error=False, print_error=False)
    except cyclopts.CycloptsError as error:
        raise UsageError(sentence_about(error, parser, words)) from error
    return code if isinstance(code, int) else OK  # None: cyclopts printed a help text


def _stopped(words: list[str]) -> str:
    """What is said at Ctrl-C."""
    goes_on = any(verb.name in words[:1] and verb.goes_on for group in VERBS.values() for verb in group)
    return "stopped; the same command goes on where it was" if goes_on else "stopped before its end; type it again"


def _fail(error: BaseException, text: str, code: int, words: list[str]) -> int:
    if "-v" in words or "--verbose" in words:
        import traceback

        sys.stderr.write("".join(traceback.format_exception(error)))
    text = sentence_of(error, text)
    if text:
        sys.stderr.write(f"gannotate: {text}\n")
    return code
