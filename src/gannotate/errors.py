"""The errors that a user may see: one sentence each, with what was given, what is accepted and what to type."""


class GannotateError(Exception):
    """Something failed that a user can act on. The command line prints its text and exits with `exit_code`."""

    exit_code = 1


class UsageError(GannotateError):
    """The request itself is wrong (a flag, a name, a value): exit code 2."""

    exit_code = 2


def nearest(name: str, known: list[str] | tuple[str, ...]) -> str:
    """Ends an error sentence with the closest known name, e.g. `; did you mean 'nose'?`, or with nothing."""
    import difflib

    match = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {match[0]!r}?" if match else ""
