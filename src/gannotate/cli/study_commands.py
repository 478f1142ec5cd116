"""Whether the command line takes the commands of somebody's own study, known before the first of them has run."""

from __future__ import annotations

import cyclopts

from gannotate.errors import UsageError
from gannotate.studies import Plan
from gannotate.studies.cell import words_of


def check_commands(plan: Plan) -> None:
    """Looks for verbs and flags that there are not; values are left to the commands, as some are results of others.

    Raises:
        UsageError: the step, and what is wrong with its command.
    """
    from gannotate.cli.app import find_verb, parser_of  # which imports this module's own verb
    from gannotate.cli.mistyped import sentence_about

    parsers: dict[str, cyclopts.App] = {}
    known: set[tuple[str, ...]] = set()
    for cell in plan.cells.values():
        words = words_of(cell)
        shape = tuple(word for place, word in enumerate(words) if place < 2 or word.startswith("-"))
        if shape in known:
            continue
        known.add(shape)
        try:
            if words[0] not in parsers:
                parsers[words[0]] = parser_of(find_verb(words[0]))
        except UsageError as error:
            raise UsageError(f"the step {cell.step}: {error}") from error
        try:
            parsers[words[0]].parse_args(words, exit_on_error=False, print_error=False)
        except (cyclopts.UnknownOptionError, cyclopts.UnknownCommandError, cyclopts.RepeatArgumentError) as error:
            told = sentence_about(error, parsers[words[0]], words)
            raise UsageError(f"the step {cell.step}: {told}") from error
        except (cyclopts.CycloptsError, UsageError):
            continue  # of a value
