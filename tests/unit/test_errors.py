"""An error's text is one line that a terminal can show, whatever a file made it say."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gannotate.errors import LONGEST, GannotateError, UsageError, one_line


@given(st.text(max_size=100) | st.text(min_size=1, max_size=5).map(lambda text: text * 1000))
def test_any_text_becomes_one_printable_line(text: str):
    said = str(GannotateError(text))
    assert said.isprintable()
    assert len(said) <= LONGEST
    if text.isprintable() and len(text) <= LONGEST:
        assert said == text


def test_what_would_steer_a_terminal_or_turn_the_line_is_left_out():
    assert one_line("a\x1b[2Jb") == "a?[2Jb"
    assert one_line("line\nother\tthird\xa0end") == "line other third end"
    assert one_line("gnp.\u202eexe \ud800 \x00") == "gnp.?exe ? ?"
    assert one_line("é 漢 ü – “x”") == "é 漢 ü – “x”"


def test_a_long_text_keeps_what_was_given_and_what_to_type():
    said = str(UsageError("the picture " + "x" * 10_000 + "; give --size 64"))
    assert said.startswith("the picture xxx")
    assert said.endswith("; give --size 64")
    assert " ... " in said
