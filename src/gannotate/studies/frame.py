"""What tables, plots and claims must know of a study: its axes, measures and shapes, from a plan or from study.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar

from gannotate.studies.axis import Axis, Value
from gannotate.studies.documents import Scalar, Strict, known_keys
from gannotate.studies.plan import Plan
from gannotate.studies.study import Expectation, Measure, Plot, Published, Study, Table, load_study, names

M = TypeVar("M", bound=Strict)


@dataclass(frozen=True)
class Frame:
    """A study as it was done on a domain, without its figures.

    called: name of its folder. title: of the study; domain: of what it was done on. axes: with the values that were
    asked for. measures: those of every class one by one. families: a measure of the study to these. learned: the
    measure that is 0 where a training learned nothing, if there is one. floor: values of axes at which nothing was.
    declared: all values of the study's axes, asked for or not.
    """

    called: str
    title: str
    domain: str
    quick: bool
    axes: Mapping[str, Axis]
    measures: Mapping[str, Measure]
    families: Mapping[str, tuple[str, ...]]
    tables: tuple[Table, ...]
    plots: tuple[Plot, ...]
    expect: tuple[Expectation, ...]
    published: tuple[Published, ...]
    learned: str | None = None
    floor: Mapping[str, Scalar] = field(default_factory=dict)
    declared: Mapping[str, tuple[Scalar, ...]] = field(default_factory=dict)

    def order(self, name: str) -> list[str]:
        """The values of an axis as texts: those that the study declares, then others that were asked for."""
        own = [one.value for one in self.axes[name].values]
        return list(dict.fromkeys(map(str, (*self.declared.get(name, ()), *own))))

    def title_of(self, plot: Plot) -> str:
        """A plot's own title, or the study's; with the measure where the study has several plots."""
        if plot.title or len(self.plots) < 2:
            return plot.title or self.title
        return f"{self.title}: {self.measures[plot.measure].title or plot.measure}"


def frame_of(plan: Plan) -> Frame:
    """The frame of a plan."""
    study = plan.study
    return Frame(
        called=plan.called,
        title=study.title,
        domain=plan.domain.about.title,
        quick=plan.choice.quick,
        axes=plan.axes,
        measures=plan.measures,
        families=plan.families,
        tables=study.tables,
        plots=tuple(plot for plot in study.plots if _is_there(plot, plan.axes)),
        expect=study.expect,
        published=study.published,
        learned=study.learned,
        floor=study.floor,
        declared=_declared(study),
    )


def _is_there(plot: Plot, axes: Mapping[str, Axis]) -> bool:
    """Whether the values that a plot is at were chosen."""
    return all(str(value) in {str(one.value) for one in axes[axis].values} for axis, value in plot.where.items())


def frame_as_json(frame: Frame) -> dict[str, Any]:
    """The frame's part of study.json."""
    return {
        "title": frame.title,
        "quick": frame.quick,
        "axes": {
            name: {
                "title": axis.title,
                "unit": axis.unit,
                "values": [{"value": one.value, "title": one.shown} for one in axis.values],
            }
            for name, axis in frame.axes.items()
        },
        "measures": {
            name: {"title": one.title or name, "format": one.format, "better": one.better}
            for name, one in frame.measures.items()
        },
        "families": {name: list(some) for name, some in frame.families.items()},
        "tables": [one.model_dump(mode="json") for one in frame.tables],
        "expect": [one.model_dump(mode="json") for one in frame.expect],
        "published": [one.model_dump(mode="json") for one in frame.published],
        "learned": frame.learned,
        "floor": dict(frame.floor),
        "declared": {name: list(values) for name, values in frame.declared.items()},
    }


def read_frame(content: Mapping[str, Any]) -> Frame:
    """The frame in study.json, as today's or an earlier gannotate wrote it.

    Raises:
        KeyError, ValueError, TypeError: something is missing, or of another kind.
    """
    measures = {name: _model(Measure, {"from": "", **one}) for name, one in content["measures"].items()}
    name, domain = str(content["study"]), content["domain"]
    return Frame(
        called=f"{name}-{domain['name']}{'-quick' if content['quick'] else ''}",
        title=str(content["title"]),
        domain=str(domain["title"]),
        quick=bool(content["quick"]),
        axes={name: _axis(axis) for name, axis in content["axes"].items()},
        measures=measures,
        families={name: tuple(some) for name, some in content.get("families", _families(measures)).items()},
        tables=tuple(_model(Table, one) for one in content["tables"]),
        plots=tuple(_model(Plot, one) for one in content["plots"]),
        expect=tuple(_model(Expectation, one) for one in content.get("expect", ())),
        published=tuple(_model(Published, one) for one in content.get("published", ())),
        learned=content.get("learned"),
        floor=dict(content.get("floor", {})),
        declared={name: tuple(some) for name, some in content.get("declared", _shipped_axes(name)).items()},
    )


def _model(kind: type[M], given: Mapping[str, Any]) -> M:
    return kind.model_validate(known_keys(kind, given))


def _axis(given: Mapping[str, Any]) -> Axis:
    values = [known_keys(Value, one) for one in given["values"]]
    return Axis.model_validate(known_keys(Axis, given) | {"values": values})


def _declared(study: Study) -> dict[str, tuple[Scalar, ...]]:
    return {name: tuple(one.value for one in axis.values) for name, axis in study.axes.items()}


@cache
def _shipped_axes(name: str) -> Mapping[str, tuple[Scalar, ...]]:
    """For files that do not tell what was declared: as the study of this name that ships has it."""
    return _declared(load_study(name)) if name in names() else {}


def _families(measures: Mapping[str, Measure]) -> dict[str, list[str]]:
    """For files that do not tell them: `classes: hair` is one of `classes`."""
    families: dict[str, list[str]] = {}
    for name in measures:
        families.setdefault(name.split(": ")[0], []).append(name)
    return families
