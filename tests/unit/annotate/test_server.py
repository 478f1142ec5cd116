"""The server: what the page asks for, and what is refused to everybody else."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import re
import shutil
import string
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from gannotate.annotate.access import Access, Guard
from gannotate.annotate.live import Live
from gannotate.annotate.routes.project import name_of
from gannotate.annotate.server import create_app
from gannotate.annotate.store import Store
from gannotate.generators.stylegan2 import StyleGAN2
from gannotate.labels import IGNORE, read_label_map
from gannotate.project import Project

Truth = Callable[[int], np.ndarray]

PORT = 8770
HOME = f"http://127.0.0.1:{PORT}"


@pytest.fixture
def access() -> Access:
    return Access("127.0.0.1", PORT)


@pytest.fixture
def live(store: Store, tiny: StyleGAN2) -> Iterator[Live]:
    made = Live(store, tiny)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def stranger(live: Live, access: Access) -> TestClient:
    """A client without a session."""
    return TestClient(create_app(live.store, live, access), base_url=HOME, raise_server_exceptions=False)


@pytest.fixture
def page(stranger: TestClient, access: Access) -> TestClient:
    """A client that opened the printed address."""
    assert stranger.get(access.address.removeprefix(HOME)).status_code == 200
    return stranger


def put(client: TestClient, seed: int, label_map: np.ndarray, base: int, **headers: str):
    return client.put(
        f"/api/pictures/{seed}/labels", content=label_map.tobytes(), headers={"X-Base-Version": str(base), **headers}
    )


def test_the_address_works_once(stranger: TestClient, access: Access):
    first = access.address.removeprefix(HOME)
    assert stranger.get("/api/project").status_code == 401
    answer = stranger.get(first, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert stranger.get("/api/project").status_code == 200
    assert stranger.get(first).status_code == 403
    assert access.token not in first


@pytest.mark.parametrize("token", ["", "x", "é", "a" * 5000])
def test_a_wrong_token_opens_nothing(stranger: TestClient, token: str):
    assert stranger.get("/", params={"token": token}).status_code == 403
    assert stranger.get("/api/project").status_code == 401


def test_everything_below_api_needs_the_session(stranger: TestClient, live: Live, access: Access):
    spec = create_app(live.store, live, access).openapi()
    assert len(spec["paths"]) >= 10
    for path, methods in spec["paths"].items():
        for method in methods:
            address = re.sub(r"\{\w+\}", "1", path)
            assert stranger.request(method, address).status_code == 401, address
    assert stranger.get("/api/openapi.json").status_code == 401
    assert stranger.get("/api/nothing").status_code == 401


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1:1", "evil.example:8770", "127.0.0.1:8770@evil.example", ""]
)
def test_other_host_names_are_refused(page: TestClient, host: str):
    assert page.get("/api/project", headers={"Host": host}).status_code == 421
    assert page.get("/", headers={"Host": host}).status_code == 421


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_other_pages_are_refused(page: TestClient, headers: dict[str, str]):
    assert page.get("/api/project", headers=headers).status_code == 403
    assert put(page, 0, np.zeros((16, 16), np.uint8), 0, **headers).status_code == 403


def test_an_address_that_is_no_text_is_refused():
    sent: list[Any] = []

    async def refused(*_: Any) -> Any:
        pytest.fail("it was let in")

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "path": "/", "query_string": b"token=\x80", "headers": [(b"host", HOME[7:].encode())]}
    asyncio.run(Guard(refused, Access("127.0.0.1", PORT), 10)(scope, refused, send))
    assert sent[0]["status"] == 400


def test_the_own_page_is_not_refused(page: TestClient):
    for host in ("127.0.0.1", "localhost", "[::1]"):
        headers = {"Host": f"{host}:{PORT}", "Origin": f"http://{host}:{PORT}", "Sec-Fetch-Site": "same-origin"}
        assert page.get("/api/project", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("listening", "host", "own"),
    [
        ("0.0.0.0", "192.168.1.7", True),
        ("0.0.0.0", "evil.example", False),
        ("192.168.1.7", "192.168.1.7", True),
        ("192.168.1.7", "192.168.1.8", False),
        ("127.0.0.1", "192.168.1.7", False),
    ],
)
def test_which_hosts_are_its_own(listening: str, host: str, own: bool):
    assert Access(listening, PORT).is_own_host(f"{host}:{PORT}") is own


def test_huge_bodies_are_refused_whatever_they_claim(page: TestClient):
    huge = b"\0" * (1 << 16 | 1)
    headers = {"X-Base-Version": "0"}
    assert page.put("/api/pictures/0/labels", content=huge, headers=headers).status_code == 413
    chunks = (huge[start : start + 1000] for start in range(0, len(huge), 1000))  # sent without a length
    assert page.put("/api/pictures/0/labels", content=chunks, headers=headers).status_code == 413


@pytest.mark.parametrize(
    "path",
    [
        "/static/../server.py",
        "/static/%2e%2e/server.py",
        "/static/..%2fserver.py",
        "/api/pictures/..%2f..%2fproject.yaml/image",
        "/api/pictures/-1/image",
        "/api/pictures/1e3/image",
        "/api/pictures/99999999999/image",
        "/static//etc/passwd",
    ],
)
def test_no_path_leads_out(page: TestClient, path: str):
    assert page.get(path).status_code in (404, 422)


def test_the_page_and_its_headers(page: TestClient):
    answer = page.get("/")
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    for name in re.findall(r'(?:src|href)="(/static/[^"]+)"', answer.text):
        assert page.get(name).status_code == 200, name


def test_a_copied_project_is_told_from_the_one_it_was_copied_from(project: Project, tmp_path: Path):
    assert name_of(project) == "parts"
    assert name_of(Project.open(shutil.copytree(project.folder, tmp_path / "again"))) == "parts in again"


def test_project_and_pictures(page: TestClient):
    info = page.get("/api/project").json()
    assert (info["name"], info["size"], info["ignore"]) == ("parts", 16, IGNORE)
    assert [item["name"] for item in info["classes"]["classes"]] == ["background", "left", "right"]
    pictures = page.get("/api/pictures").json()
    assert [one["seed"] for one in pictures] == list(range(6))
    first = {"seed": 0, "name": "0", "real": False, "version": 0, "labelled": 0.0, "source": "none", "mark": None}
    assert pictures[0] == first | {"trouble": ""}
    assert page.get("/api/pictures/0/image").content.startswith(b"\x89PNG")
    assert page.get("/api/pictures/77/image").status_code == 404


def test_a_label_map_is_saved_read_back_and_guessed_from(page: TestClient, live: Live, truth: Truth):
    blank = page.get("/api/pictures/0/labels")
    assert (blank.headers["x-version"], set(blank.content)) == ("0", {IGNORE})
    assert page.get("/api/pictures/1/guess").status_code in (204,)
    assert put(page, 0, truth(0), 0, **{"X-Started": "guess"}).json() == {"version": 1}
    assert page.get("/api/pictures/0/labels").content == truth(0).tobytes()
    assert live.store.project.annotations()[0].about["started_from"] == "guess"
    assert live.wait()
    guess = page.get("/api/pictures/1/guess")
    labels, uncertainty, confidence = np.frombuffer(guess.content, np.uint8).reshape(3, 16, 16)
    assert set(np.unique(labels)) == {0, 1}
    assert uncertainty.max() > uncertainty.min()
    assert confidence.min() >= 255 // 3  # of three classes the most probable one has a third at least
    assert np.corrcoef(uncertainty.ravel(), confidence.ravel())[0, 1] < -0.9
    state = page.get("/api/live").json()
    assert (state["labelled"], state["agreement"], state["busy"]) == (1, None, False)
    assert page.get("/api/next").json()["seed"] in range(1, 6)
    assert page.get("/api/pictures").json()[0]["labelled"] == 1.0


def test_of_two_tabs_the_second_is_refused_and_its_map_kept(page: TestClient, store: Store):
    first, second = np.zeros((16, 16), np.uint8), np.ones((16, 16), np.uint8)
    assert put(page, 0, first, 0, **{"X-Editor": "one"}).status_code == 200
    answer = put(page, 0, second, 0, **{"X-Editor": "two"})
    assert answer.status_code == 409
    assert answer.json()["version"] == 1
    assert (read_label_map(store.project.folder / answer.json()["recovery"], 3) == second).all()
    assert page.get("/api/pictures/0/labels").content == first.tobytes()


def test_the_history_is_read_back(page: TestClient):
    for version in range(2):
        put(page, 0, np.full((16, 16), version, np.uint8), version)
    assert page.get("/api/pictures/0/history").json() == {"versions": [1, 2]}
    assert set(page.get("/api/pictures/0/history/1").content) == {0}
    assert page.get("/api/pictures/0/history/3").status_code == 404


def test_bad_maps_are_refused_with_a_sentence(page: TestClient):
    short = page.put("/api/pictures/0/labels", content=b"abc", headers={"X-Base-Version": "0"})
    assert (short.status_code, short.json()["detail"][:17]) == (400, "3 bytes were sent")
    unknown = put(page, 0, np.full((16, 16), 9, np.uint8), 0)
    assert unknown.status_code == 400
    assert "unknown class id 9 (256 px)" in unknown.json()["detail"]
    assert page.put("/api/pictures/0/labels", content=bytes(256)).status_code == 422


def test_a_full_disk_is_told(page: TestClient, monkeypatch: pytest.MonkeyPatch):
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "no space")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        answer = put(page, 0, np.zeros((16, 16), np.uint8), 0)
    assert answer.status_code == 507
    assert "no space left on the disk" in answer.json()["detail"]
    assert put(page, 0, np.zeros((16, 16), np.uint8), 0).status_code == 200


def test_classes_are_changed_once_from_each_version(page: TestClient):
    given = page.get("/api/classes").json()
    given["classes"].append({"name": "nose", "colour": [1, 2, 3]})
    changed = page.put("/api/classes", json=given)
    assert changed.json()["classes"][3] == {"name": "nose", "colour": [1, 2, 3]}
    assert page.put("/api/classes", json=given).status_code == 409
    fewer = changed.json() | {"classes": changed.json()["classes"][:2]}
    assert page.put("/api/classes", json=fewer).status_code == 400


def test_marks_are_set_and_shown(page: TestClient):
    assert page.put("/api/pictures/2/mark", json={"mark": "skip"}).status_code == 200
    assert page.get("/api/pictures").json()[2]["mark"] == "skip"
    assert page.put("/api/pictures/2/mark", json={"mark": "other"}).status_code == 422
    assert (
        page.put("/api/pictures/2/mark", content=b"{", headers={"Content-Type": "application/json"}).status_code == 422
    )


def test_a_request_that_is_no_text_is_refused_with_a_sentence(page: TestClient):
    answer = page.put("/api/pictures/0/mark", content=b"\x80", headers={"Content-Type": "application/octet-stream"})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("the request does not fit: body")


def test_the_wand_answers_in_bytes(page: TestClient):
    answer = page.get("/api/pictures/0/similarity", params={"x": 3, "y": 5})
    assert np.frombuffer(answer.content, np.uint8).reshape(16, 16)[5, 3] == 255
    assert page.get("/api/pictures/0/similarity", params={"x": 16, "y": 5}).status_code == 400
    assert page.get("/api/pictures/0/similarity", params={"x": "a", "y": 5}).status_code == 422


words = st.text(string.printable + "é\u0000…", max_size=12)
numbers = st.integers(-3, 2**33).map(str)
values = st.one_of(words, numbers, st.sampled_from(["0", "1", "5", "skip"]))
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | words,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["mark", "version", "classes", "name", "colour"]), inner)
    ),
    max_leaves=8,
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_nothing_that_its_own_openapi_offers_breaks_it(page: TestClient, data: st.DataObject):
    """Every path with values good and bad: whatever comes, an answer below 500."""
    spec = page.get("/api/openapi.json").json()
    path = data.draw(st.sampled_from(sorted(spec["paths"])))
    method = data.draw(st.sampled_from(sorted(spec["paths"][path])))
    address = re.sub(r"\{\w+\}", lambda _: quote(data.draw(values), safe=""), path)
    parameters = [item for item in spec["paths"][path][method].get("parameters", []) if item["in"] != "path"]
    query = {item["name"]: data.draw(values) for item in parameters if item["in"] == "query"}
    headers = {item["name"]: quote(data.draw(values)) for item in parameters if item["in"] == "header"}
    body = data.draw(
        st.one_of(st.binary(max_size=300), st.just(bytes(256)), documents.map(lambda tree: json.dumps(tree).encode()))
    )
    kind = data.draw(st.sampled_from(["application/json", "application/octet-stream"]))
    content = None if method == "get" else body
    answer = page.request(method, address, params=query, headers=headers | {"Content-Type": kind}, content=content)
    assert answer.status_code < 500, (address, query, headers, body)
