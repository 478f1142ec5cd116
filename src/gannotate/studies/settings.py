"""The settings of a study on a domain, and that no name in it stands for two kinds of things."""

from __future__ import annotations

from collections.abc import Mapping

from gannotate.errors import UsageError, nearest
from gannotate.studies.documents import Scalar
from gannotate.studies.domain import Domain
from gannotate.studies.study import SOURCES, Shared, Study


def check_names(study: Study, shared: Shared, domain: Domain) -> None:
    """Shared steps may be replaced, settings changed or varied along an axis; nothing may become another kind.

    Raises:
        UsageError: a name is of two kinds.
    """
    steps, settings = {*shared.steps, *study.steps}, {*shared.settings, *domain.about.settings, *study.settings}
    kinds = {"a step": steps, "an axis": set(study.axes), "a setting": settings, "a source": set(SOURCES)}
    for one, other in (
        ("a step", "an axis"),
        ("a step", "a setting"),
        ("a step", "a source"),
        ("a source", "a setting"),
    ):
        both = kinds[one] & kinds[other]
        if both:
            raise UsageError(f"{', '.join(sorted(both))} is {one} and {other} (see shared.yaml); rename one")


def settings_of(
    study: Study, shared: Shared, domain: Domain, chosen: Mapping[str, Scalar] | None = None, quick: bool = False
) -> dict[str, Scalar]:
    """All settings: the shared ones, over them the domain's, the study's, those of the quick form, the chosen ones.

    Raises:
        UsageError: one that there is not, a text in place of a number, or one of 0 or less in place of one above that.
    """
    parts, chosen = (shared, domain.about, study), chosen or {}
    settings = {name: value for part in parts for name, value in part.settings.items()}
    of_quick = {name: value for part in parts for name, value in part.quick.settings.items()}
    known = list(settings)
    for name in [*of_quick, *chosen]:
        if name not in known:
            raise UsageError(f"there is no setting {name!r}{nearest(name, known)}; there are {', '.join(known)}")
    for name, value in chosen.items():
        if _is_number(settings[name]) and not _is_number(value):
            raise UsageError(f"--set {name}={value} is no number; give one, e.g. --set {name}={settings[name]}")
        if isinstance(settings[name], int) and isinstance(value, float) and not value.is_integer():
            raise UsageError(f"--set {name}={value}; give a whole number, e.g. --set {name}={settings[name]}")
        if _is_above_0(settings[name]) and not _is_above_0(value):
            raise UsageError(f"--set {name}={value}; give a number above 0, e.g. --set {name}={settings[name]}")
    return settings | (of_quick if quick else {}) | dict(chosen)


def _is_above_0(value: Scalar) -> bool:
    return not isinstance(value, str) and _is_number(value) and value > 0


def _is_number(value: Scalar) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
