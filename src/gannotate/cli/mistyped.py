"""What is said of a command line that does not parse: cyclopts' errors as one sentence each, in our words."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from cyclopts import App, CycloptsError, MissingArgumentError, UnknownOptionError, UnusedCliTokensError
from cyclopts.argument import Argument

ELSEWHERE = {
    "--batch-size": "--batch",
    "--bs": "--batch",
    "--dest": "--out",
    "--epochs": "--steps",
    "--gpu": "--device",
    "--images": "--pictures",
    "--iterations": "--steps",
    "--labels": "--labelled",
    "--lr": "--learning-rate",
    "--max-epochs": "--steps",
    "--model": "--architecture",
    "--network": "--architecture",
    "--num": "--count",
    "--output": "--out",
    "--pretrained": "--weights",
    "--resolution": "--size",
    "--truncation": "--psi",
    "--wd": "--weight-decay",
}
"""What other tools call our flags."""

SLIP, ALIKE = 0.8, 0.6
"""How alike two names are that differ by a slip of the finger, and at least for one to stand for the other; 1 is the
same."""


def sentence_about(error: CycloptsError, app: App, words: Sequence[str]) -> str:
    """What is wrong with the words of a command, and the help to look it up in; `app` is what could not parse them."""
    command = tuple(error.command_chain or words[:1])
    error.verbose = False
    return f"{_wrong(error, app, command)}; `gannotate {' '.join(command)} --help` shows what is accepted"


def _wrong(error: CycloptsError, app: App, command: Sequence[str]) -> str:
    if type(error) is MissingArgumentError and error.argument is not None:
        return _missing(error, error.argument, _about(error.argument, app, command))
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        return f"{error.unused_tokens[0]!r} is a word too many"
    if isinstance(error, UnknownOptionError) and error.token.source == "cli":
        given = (error.token.keyword or error.token.value).split("=", 1)[0]
        known = [name for argument in error.argument_collection if argument.parse for name in argument.names]
        meant = likeliest(given, known)
        return f"Unknown option: {given}" + (f". Did you mean {meant}?" if meant else "")
    return " ".join(str(error).split()).rstrip(".")


def _missing(error: MissingArgumentError, argument: Argument, about: str) -> str:
    """Of a flag without a value, of one that was not typed at all, and of a place that was left empty."""
    typed = error.keyword or next((token.keyword for token in reversed(argument.tokens) if token.keyword), None)
    if typed is not None:
        return f"{typed} has no value{about}"
    flag = argument.name if argument.name.startswith("-") else argument.name.upper()
    given = [word for word in error.unused_tokens or () if word.startswith("--")]
    slip = difflib.get_close_matches(flag, given, n=1, cutoff=ALIKE)
    return f"{flag} is missing{about}" + (f". Did you mean {flag} instead of {slip[0]}?" if slip else "")


def _about(argument: Argument, app: App, command: Sequence[str]) -> str:
    """What can be given, in brackets: the choices, or else what the help says."""
    for name in command:
        app = app[name]
    explained = app.assemble_argument_collection(parse_docstring=True)  # parsing a command line reads no docstrings
    found = next((one for one in explained if one.names == argument.names), argument)
    about = ", ".join(found.get_choices() or ()) or " ".join((found.parameter.help or "").split()).rstrip(".")
    if about[1:2].islower():  # no `YAML` or `H.264`
        about = about[0].lower() + about[1:]
    return f" ({about})" if about else ""


def likeliest(given: str, known: Iterable[str]) -> str | None:
    """The flag that `given` was most likely meant for.

    A slip of the finger, what other tools call it, its beginning, initials (`--lr`) or one of its words, or a name
    like it.
    """
    known = list(known)
    elsewhere = ELSEWHERE.get(given.replace("_", "-"))
    slips = difflib.get_close_matches(given, known, n=1, cutoff=SLIP)
    short = min((name for name in known if is_short_for(given, name)), key=len, default=None)
    alike = difflib.get_close_matches(given, known, n=1, cutoff=ALIKE)
    guesses = [*slips, elsewhere if elsewhere in known else None, short, *alike]
    return next(filter(None, guesses), None)


def is_short_for(given: str, name: str) -> bool:
    """Whether `given` is a word of the long flag `name`, or has its first letter and others of it in their order."""
    letters, whole = given.strip("-"), name.removeprefix("--")
    if not name.startswith("--") or len(letters) < 2:
        return False
    rest = iter(whole)
    return letters in whole.split("-") or (whole[0] == letters[0] and all(one in rest for one in letters))
