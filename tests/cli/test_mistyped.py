"""Command lines that do not parse: one sentence in our words, with what was most likely meant."""

from __future__ import annotations

import pytest

from gannotate.cli.app import VERBS, parser_of
from gannotate.cli.mistyped import ELSEWHERE, is_short_for, likeliest

from .conftest import Command

FLAGS = ("--learning-rate", "--label-smoothing", "--noise-augment", "--fresh-noise", "--solver", "--steps", "--batch")


@pytest.mark.parametrize(
    ("words", "start"),
    [
        ("new p --generator g", "--classes is missing (names of the classes with commas between them, the"),
        ("new p --classes", "--classes has no value (names of the classes with commas"),
        ("new p --clases a,b", "--classes is missing ("),
        ("new --classes a,b --generator g", "PROJECT is missing (the new folder)"),
        ("data import p x", "--format is missing (palette, folder, coco,"),
        ("sample p --config", "--config has no value (YAML file with"),
        ("sample p q", "'q' is a word too many"),
        ("sample p --num 3", "Unknown option: --num. Did you mean --count?"),
        ("sample p --frist-seed=3", "Unknown option: --frist-seed. Did you mean --first-seed?"),
        ("sample p --zzz 3", "Unknown option: --zzz;"),
        ("sample p -n many", 'Invalid value for -n: unable to convert "many" into int'),
    ],
)
def test_what_is_wrong_comes_first(command: Command, words: str, start: str):
    code, text = command.mistake(*words.split())
    assert code == 2
    assert text.startswith(start)
    verb = "data import" if words.startswith("data") else words.split()[0]
    assert text.endswith(f"; `gannotate {verb} --help` shows what is accepted")


def test_a_slip_in_a_needed_flag_is_named(command: Command):
    assert "Did you mean --classes instead of --clases?" in command.mistake("new", "p", "--clases", "a,b")[1]


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("--lr", "--learning-rate"),
        ("--epochs", "--steps"),
        ("--batch_size", "--batch"),
        ("--bs", "--batch"),
        ("--sovler", "--solver"),
        ("--nois", "--noise-augment"),
        ("--lsm", "--label-smoothing"),
        ("--rate", "--learning-rate"),
        ("--smoothing", "--label-smoothing"),
        ("--wd", None),
        ("-x", None),
    ],
)
def test_the_likeliest_flag(given: str, meant: str | None):
    assert likeliest(given, FLAGS) == meant


def test_what_stands_for_a_name():
    assert is_short_for("--lr", "--learning-rate")
    assert is_short_for("-lr", "--learning-rate")
    assert not is_short_for("--lr", "--color")  # another first letter
    assert not is_short_for("--rl", "--learning-rate")  # another order
    assert not is_short_for("--l", "--learning-rate")  # anything begins with some letter


def test_every_name_from_elsewhere_leads_to_a_flag():
    known = set()
    for verb in (verb for group in VERBS.values() for verb in group):
        parser = parser_of(verb)[verb.name]
        if parser.default_command:  # `data` and `study` have verbs of their own
            known |= {name for argument in parser.assemble_argument_collection() for name in argument.names}
    assert set(ELSEWHERE.values()) <= known
