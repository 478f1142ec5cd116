"""The errors that a user may see: one sentence each, with what was given, what is accepted and what to type."""

LONGEST = 2000
"""Characters of an error's text: longer ones lose their middle, as what to type stands at the end."""


class GannotateError(Exception):
    """Something failed that a user can act on. The command line prints its text and exits with `exit_code`.

    The text is one line that a terminal can show, whatever names and values out of somebody's file stand in it.
    """

    exit_code = 1

    def __init__(self, text: str) -> None:
        super().__init__(one_line(text))


class UsageError(GannotateError):
    """The request itself is wrong (a flag, a name, a value): exit code 2."""

    exit_code = 2


class AlikeEverywhere(GannotateError):
    """All processes of one command come to this at once, and one of them says it."""


def newer_format(source: object, version: int, reads: int) -> GannotateError:
    """The error of a file or folder `source` whose format is newer than any that this gannotate `reads`."""
    return GannotateError(
        f"{source} was written by a newer gannotate (format {version}, this one reads up to {reads}); upgrade gannotate"
    )


def why_unread(error: BaseException) -> str:
    """Why another library could not read a file: its first line, but not torch's advice to run what the file holds."""
    import pickle

    if isinstance(error, pickle.UnpicklingError):
        return "it is damaged, or holds more than tensors, and nothing in it is run"
    return str(error).partition("\n")[0][:160] or type(error).__name__


def unexpected(error: BaseException) -> str:
    """What to say of an error that nobody has answered."""
    return f"unexpected {type(error).__name__}: {' '.join(str(error).split())}"


def one_line(text: str) -> str:
    """`text` with spaces for line ends, `?` for signs that are none or that steer a terminal, and at most LONGEST."""
    if len(text) > LONGEST:
        text = f"{text[: LONGEST // 2]} ... {text[-LONGEST // 2 + 5 :]}"
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else " " if sign.isspace() else "?" for sign in text)


def nearest(name: str, known: list[str] | tuple[str, ...]) -> str:
    """Ends an error sentence with the closest known name, e.g. `; did you mean 'nose'?`, or with nothing."""
    import difflib

    match = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {match[0]!r}?" if match else ""
