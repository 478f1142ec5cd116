"""Running a plan: every cell once, in parallel processes, whatever becomes of the others.

A failed cell takes those that use it with it and no other. Cells that another runner on the same folder is at, on
this machine or another, are waited for, and their results taken, good or bad; those of a runner that died are run.
The seeds come one after the other, so that a table has all its rows early.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Generator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Any, Literal

from gannotate.errors import GannotateError, unexpected
from gannotate.files import disk_trouble
from gannotate.studies.cell import How, Ran, failed_attempt, read_result, read_state, run_cell, tidy
from gannotate.studies.plan import Plan
from gannotate.studies.resolving import Cell
from gannotate.studies.starting import warm

TICK_S, BUSY_S = 0.5, 2.0
"""How often is looked for Ctrl-C; how long a cell of another runner is left alone."""


@dataclass(frozen=True)
class Done:
    """A cell has come to its end. eta_s: seconds that the rest should take, None while nothing is known."""

    cell: Cell
    ran: Ran
    done: int
    cells: int
    seconds: float
    eta_s: float | None


@dataclass
class Outcomes:
    """How every cell went; a cell that is not in it was not run.

    pictures, curves: PNGs, and points of curves, of cells that ran elsewhere, by the cell and what tells them from
    others of it.
    """

    ran: dict[str, Ran]
    pictures: dict[tuple[str, str], bytes] = field(default_factory=dict)
    curves: dict[tuple[str, str], tuple[tuple[float, float], ...]] = field(default_factory=dict)

    @property
    def results(self) -> dict[str, Mapping[str, Any]]:
        """What the finished cells printed; of those that ran elsewhere, the figures that are known."""
        return {cell: ran.result for cell, ran in self.ran.items() if ran.result is not None}

    @property
    def made(self) -> dict[str, Mapping[str, Any]]:
        """What those printed that ran here: other cells can use what they made."""
        return {cell: result for cell, result in self.results.items() if not self.ran[cell].elsewhere}

    def state(self, plan: Plan, cell: str) -> tuple[Literal["done", "failed", "not run"], str]:
        """How a cell went, and why it failed or was not run."""
        ran = self.ran.get(cell)
        if ran is not None and ran.status == "done":
            return "done", ""
        if ran is not None and ran.status == "failed":
            return "failed", ran.error
        for other in plan.cells[cell].uses:
            state, _ = self.state(plan, other)
            if (known := self.ran.get(other)) is not None and known.elsewhere:
                state = "failed" if known.error else "not run"
            if state != "done":
                return (
                    "not run",
                    f"{plan.cells[other].step} ({other}) {'failed' if state == 'failed' else 'did not run'}",
                )
        return "not run", ""


def outcomes_so_far(plan: Plan, how: How) -> Outcomes:
    """What is there already: cells that are done, those that failed when they were last run, and those whose results
    cannot be read, which failed too: no cell takes those down that do not use it.
    """
    found: dict[str, Ran] = {}
    for cell in plan.cells:
        there = read_result(how.folder, cell)
        record = {} if there else read_state(how.folder, cell)
        if there:
            found[cell] = there
        elif record.get("status") == "failed":
            found[cell] = Ran.of("failed", record, error=str(record.get("error", "")))
    return Outcomes(found)


def run_plan(plan: Plan, how: How, processes: int, outcomes: Outcomes) -> Generator[Done, None, None]:
    """Runs what is not done yet, and notes it in `outcomes`; yields at the end of each cell.

    Stopping the iteration asks the commands that run to end, and waits for them.
    """
    try:
        with warm(how.runner, how.folder, how.variables) as forks:
            yield from _run_all(plan, replace(how, warm=forks), processes, outcomes)
    finally:
        tidy(how.folder, outcomes.made)


def _run_all(plan: Plan, how: How, processes: int, outcomes: Outcomes) -> Generator[Done, None, None]:
    todo = _Todo(plan, how, outcomes)
    begin, stop = time.monotonic(), threading.Event()
    total = len(todo.waiting)
    running: dict[Future[Ran], Cell] = {}
    with ThreadPoolExecutor(processes) as pool:
        try:
            while todo.waiting or running:
                while len(running) < processes and (cell := todo.take()) is not None:
                    used = {one: outcomes.made[one] for one in cell.uses}
                    running[pool.submit(run_cell, cell, how, used, stop, todo.failed.get(cell.id, ""))] = cell
                if not running and not todo.waiting:
                    break
                if not running:  # all that is left is another runner's
                    time.sleep(TICK_S)
                ended, _ = wait(running, TICK_S, FIRST_COMPLETED)
                for future in ended:
                    cell, ran = running.pop(future), _outcome(future)
                    if ran.status == "busy":
                        todo.put_back(cell)
                        continue
                    todo.ended(cell, ran)
                    left = [*todo.waiting.values(), *running.values()]
                    done = total - len(left)
                    eta_s = _expected_s(left, plan, outcomes, processes)
                    yield Done(cell, ran, done, total, time.monotonic() - begin, eta_s)
        finally:
            stop.set()


def _outcome(future: Future[Ran]) -> Ran:
    try:
        return future.result()
    except GannotateError as error:  # a full disk
        return Ran("failed", error=str(error))
    except Exception as error:  # whatever it is, it is this cell's trouble and shall not end the others
        return Ran("failed", error=str(disk_trouble(error) or unexpected(error)))


class _Todo:
    """The cells that are still to run, in their order."""

    def __init__(self, plan: Plan, how: How, outcomes: Outcomes) -> None:
        self.outcomes = outcomes
        self.failed = {cell: failed_attempt(read_state(how.folder, cell)) for cell in plan.cells}
        for cell in [cell for cell, ran in outcomes.ran.items() if ran.status != "done"]:
            del outcomes.ran[cell]  # what failed before is tried again
        wanted = to_run(plan, outcomes)
        self._order = {cell: place for place, cell in enumerate(plan.cells)}
        self.waiting = {cell: plan.cells[cell] for cell in wanted}
        self._not_before: dict[str, float] = {}
        self._lost: set[str] = set()

    def take(self) -> Cell | None:
        """The first cell that can run now."""
        now, made = time.monotonic(), self.outcomes.made
        for cell in self.waiting.values():
            ready = all(one in made for one in cell.uses)
            if ready and self._not_before.get(cell.id, 0.0) <= now:
                return self.waiting.pop(cell.id)
        return None

    def put_back(self, cell: Cell) -> None:
        """For later: another runner is at it."""
        self._not_before[cell.id] = time.monotonic() + BUSY_S
        found = {**self.waiting, cell.id: cell}
        self.waiting = {one: found[one] for one in sorted(found, key=lambda one: self._order[one])}

    def ended(self, cell: Cell, ran: Ran) -> None:
        """Notes how a cell went. Figures that are known from elsewhere are not lost where it fails here."""
        known = self.outcomes.ran.get(cell.id)
        if known is not None and ran.status != "done":
            self._lost.add(cell.id)
            ran = replace(known, error=ran.error or ran.status)
        self.outcomes.ran[cell.id] = ran
        self._drop_unreachable()

    def _drop_unreachable(self) -> None:
        """Forgets the cells that need one that failed; these come after it in the order, so one pass finds them all."""
        for cell in list(self.waiting.values()):
            if any(self._is_lost(one) for one in cell.uses):
                del self.waiting[cell.id]
                self._lost.add(cell.id)

    def _is_lost(self, cell: str) -> bool:
        ran = self.outcomes.ran.get(cell)
        return cell in self._lost or (ran is not None and ran.status != "done")


def to_run(plan: Plan, outcomes: Outcomes) -> list[str]:
    """The cells that figures are read from and that are not done, and what these need, in the plan's order."""
    results, made, wanted = outcomes.results, outcomes.made, set[str]()

    def want(cell: str, there: Collection[str]) -> None:
        if cell not in there and cell not in wanted:
            wanted.add(cell)
            for one in plan.cells[cell].uses:
                want(one, made)

    for row in plan.rows:
        for figure in row.figures.values():
            want(figure.cell, results)
    return [cell for cell in plan.cells if cell in wanted]


def _expected_s(left: list[Cell], plan: Plan, outcomes: Outcomes, processes: int) -> float | None:
    """Seconds that these cells should take: as long as others of the same step did, or as all did on average."""
    by_step: dict[str, list[float]] = {}
    for cell, ran in outcomes.ran.items():
        if ran.status == "done" and ran.seconds is not None:
            by_step.setdefault(plan.cells[cell].step, []).append(ran.seconds)
    known = [seconds for some in by_step.values() for seconds in some]
    if not known:
        return None
    return sum(fmean(by_step.get(cell.step, known)) for cell in left) / processes
