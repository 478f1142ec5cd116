"""The papers' tables and figures as data, and one runner for all of them. See docs/studies.md."""

from gannotate.studies.cell import How
from gannotate.studies.domain import Domain, load_domain
from gannotate.studies.known import add_known
from gannotate.studies.plan import Choice, Plan, make_plan
from gannotate.studies.runner import Done, Outcomes, outcomes_so_far, run_plan, to_run
from gannotate.studies.study import Study, load_shared, load_study
from gannotate.studies.writing import write_study

__all__ = [
    "Choice",
    "Domain",
    "Done",
    "How",
    "Outcomes",
    "Plan",
    "Study",
    "add_known",
    "load_domain",
    "load_shared",
    "load_study",
    "make_plan",
    "outcomes_so_far",
    "run_plan",
    "to_run",
    "write_study",
]
