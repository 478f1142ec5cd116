"""What a study varies: an axis, its values, and which others than these may be asked for."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from pydantic import Field, model_validator

from gannotate.errors import UsageError, nearest
from gannotate.studies.documents import Scalar, Strict


class Value(Strict):
    """One place on an axis; `texts` are the pieces of commands that it stands for."""

    value: Scalar
    title: str = ""
    texts: dict[str, str] = Field(default={})

    @property
    def shown(self) -> str:
        """How it is called in tables."""
        return self.title or str(self.value)


class Axis(Strict):
    """What is varied. In YAML `values` is a list, or a mapping from a name to its title and pieces of commands."""

    title: str = ""
    unit: str = ""
    """What stands behind a number in a column's heading, e.g. `64 px`."""
    values: tuple[Value, ...] = Field(min_length=1)
    most: float | None = None
    """The largest number that makes sense, e.g. 1 for a part of something; none when not given."""

    @model_validator(mode="before")
    @classmethod
    def _from_short(cls, given: Any) -> Any:
        if isinstance(given, list):
            given = {"values": given}
        if not isinstance(given, dict) or "values" not in given:
            return given
        values = given["values"]
        if isinstance(values, dict):
            values = [_named(name, texts) for name, texts in values.items()]
        elif isinstance(values, list):
            values = [value if isinstance(value, dict) else {"value": value} for value in values]
        return {**given, "values": values}

    @model_validator(mode="after")
    def _check(self) -> Axis:
        shown = [value.value for value in self.values]
        if len(set(map(str, shown))) < len(shown):
            raise ValueError("a value stands twice on this axis; leave one out")
        pieces = {frozenset(value.texts) for value in self.values}
        if len(pieces) > 1:
            missing = sorted(frozenset.union(*pieces) - frozenset.intersection(*pieces))
            raise ValueError(f"not every value has {', '.join(missing)}; give it to all of them, or to none")
        return self

    def find(self, value: Scalar) -> Value:
        """The place of `value`.

        Raises:
            UsageError: it is not on this axis.
        """
        if (known := self._known(value)) is None:
            raise UsageError(self._lacks(value))
        return known

    def place(self, value: Scalar) -> Value:
        """The place of `value`, which may be a new one where the axis is open.

        Raises:
            UsageError: it is not on this axis, and no number that could be.
        """
        known = self._known(value)
        if known is not None:
            return known
        if not self.open:
            why = "each stands for words of a command" if self.values[0].texts else "only an axis of numbers does"
            raise UsageError(f"{self._lacks(value)}, and takes no others, as {why}")
        number = _positive(value)
        if number is None or (self.whole and not isinstance(number, int)):
            kind = "whole numbers" if self.whole else "numbers"
            raise UsageError(f"{self._lacks(value)}, and takes other {kind} above 0")
        if self.most is not None and number > self.most:
            raise UsageError(f"{self._lacks(value)}, and takes other numbers above 0 up to {self.most:g}")
        return self._known(number) or Value(value=number)

    def only(self, values: Iterable[Scalar]) -> Axis:
        """The axis with these values alone, in its own order; with new ones among them, by size as its own are.

        Raises:
            UsageError: one of them is not on this axis, and no number that could be.
        """
        wanted = {one.value: one for one in map(self.place, values)}
        found = [one for one in self.values if one.value in wanted]
        if len(found) < len(wanted):
            falling = float(self.values[0].value) > float(self.values[-1].value)
            found = sorted(wanted.values(), key=lambda one: float(one.value), reverse=falling)
        return Axis(title=self.title, unit=self.unit, values=tuple(found))

    def beside(self, value: Scalar) -> tuple[Scalar, ...]:
        """The value itself where it is on this axis; of a new one those next to it, below and above."""
        if (known := self._known(value)) is not None:
            return (known.value,)
        own = sorted(float(one.value) for one in self.values)
        below = [one for one in own if one < float(value)]
        above = [one for one in own if one > float(value)]
        return tuple(self.find(one).value for one in (*below[-1:], *above[:1]))

    @property
    def numeric(self) -> bool:
        """Whether it can be drawn as a scale."""
        return all(isinstance(one.value, int | float) and not isinstance(one.value, bool) for one in self.values)

    @property
    def whole(self) -> bool:
        """Whether it counts something."""
        return self.numeric and all(isinstance(one.value, int) for one in self.values)

    @property
    def open(self) -> bool:
        """Whether it takes other values than its own: plain numbers, that no pieces of a command hang on."""
        return self.numeric and not any(one.texts for one in self.values)

    def _known(self, value: Scalar) -> Value | None:
        return next((one for one in self.values if one.value == value or str(one.value) == str(value)), None)

    def _lacks(self, value: Scalar) -> str:
        known = [str(one.value) for one in self.values]
        # of numbers those with the same digits are no nearer than others
        hint = "" if self.numeric else nearest(str(value), known)
        return f"{str(value)!r} is not on this axis{hint}; it has {', '.join(known)}"


def _named(name: Scalar, texts: Any) -> Any:
    if texts is None:
        texts = {}
    if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
        raise ValueError(f"the value {name!r} is no mapping of names to texts; quote numbers, e.g. '5'")
    return {"value": name, "title": texts.get("title", ""), "texts": {k: v for k, v in texts.items() if k != "title"}}


def _positive(value: Scalar) -> int | float | None:
    """A number above 0 however it is written: 150, 150.0 and 1.5e2 are one, and come to the same command."""
    try:
        number = float(value)
    except ValueError:
        return None
    if isinstance(value, bool) or not math.isfinite(number) or number <= 0:
        return None
    return int(number) if number.is_integer() else number
