"""The server, fuzzed from its own OpenAPI document by Schemathesis: values that fit and values that do not.

Whatever comes, no answer is a 500, every answer has a status and a content type that the document names, and bad values
are refused.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator

import pytest
import schemathesis
from httpx2 import InvalidURL
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.testclient import TestClient

from gannotate.annotate.access import Access
from gannotate.annotate.export import NAMES
from gannotate.annotate.jobs import Jobs
from gannotate.annotate.live import Live
from gannotate.annotate.server import create_app
from gannotate.annotate.store import Store
from gannotate.generators.stylegan2 import StyleGAN2
from gannotate.project import Project

PORT = 8770
HOME = f"http://127.0.0.1:{PORT}"
EXAMPLES = 12
"""Requests of each method with values that fit, and as many with values that do not."""

KNOWN = {"seed": st.integers(0, 5), "version": st.just(1), "format": st.sampled_from(NAMES)}
"""What the project has: values that only fit its types would never get past "no such picture"."""

IDLE = (sys.executable, "-c", "pass")
"""Stands in for gannotate: jobs begin and end at once."""

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture
def fuzzed(project: Project, tiny: StyleGAN2) -> Iterator[tuple[TestClient, schemathesis.BaseSchema]]:
    store = Store(project)
    live, access, jobs = Live(store, tiny), Access("127.0.0.1", PORT), Jobs(runner=IDLE)
    app = create_app(store, live, access, jobs)
    client = TestClient(app, base_url=HOME, raise_server_exceptions=False)
    assert client.get(access.address.removeprefix(HOME)).status_code == 200
    live.start()
    yield client, schemathesis.openapi.from_dict(app.openapi())
    jobs.stop()
    live.stop()


def methods(schema: schemathesis.BaseSchema) -> list[schemathesis.APIOperation]:
    """Every method of every path of the document."""
    return [found.ok() for found in schema.get_all_operations()]


def test_no_answer_is_a_500_or_one_that_the_document_does_not_name(
    fuzzed: tuple[TestClient, schemathesis.BaseSchema],
):
    client, schema = fuzzed
    offered = methods(schema)
    assert len(offered) >= 18
    seen: Counter[int] = Counter()
    for operation in offered:
        for mode in GenerationMode:
            try:
                cases = operation.as_strategy(generation_mode=mode)
                fuzz(client, cases, seen)
            except Unsatisfiable:  # nothing about this method can be wrong
                assert mode == GenerationMode.NEGATIVE
    assert min(seen[200], seen[404], seen[422]) > len(offered)  # both what fits and what does not was sent


def fuzz(client: TestClient, cases: st.SearchStrategy[schemathesis.Case], seen: Counter[int]) -> None:
    """Sends some requests of one kind."""

    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(case=cases, places=st.fixed_dictionaries({name: st.none() | known for name, known in KNOWN.items()}))
    def send(case: schemathesis.Case, places: dict[str, object]) -> None:
        known = {name: places[name] for name in case.path_parameters if places.get(name) is not None}
        case.path_parameters.update(known)
        wanted = case.as_transport_kwargs(base_url=HOME)
        body = {"content": wanted["data"]} if wanted.get("data") is not None else {}
        if wanted.get("json") is not None:
            body = {"json": wanted["json"]}
        headers = {name: value for name, value in wanted["headers"].items() if name.lower() != "connection"}
        try:
            answer = client.request(wanted["method"], wanted["url"], params=wanted["params"], headers=headers, **body)
        except (UnicodeEncodeError, InvalidURL, TypeError):  # no client can send that
            return
        seen[answer.status_code] += 1
        case.validate_response(answer, checks=CHECKS)

    send()
