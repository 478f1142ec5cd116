"""Long work, predictions, superpixels and exports over HTTP; and pools of real pictures."""

from __future__ import annotations

import io
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from gannotate.annotate.access import Access
from gannotate.annotate.export import NAMES
from gannotate.annotate.jobs import Jobs
from gannotate.annotate.live import Live
from gannotate.annotate.predictions import MOST_PX
from gannotate.annotate.server import create_app
from gannotate.annotate.store import Store
from gannotate.annotate.superpixels import superpixels
from gannotate.data.writing import encode_picture
from gannotate.generators.stylegan2 import StyleGAN2
from gannotate.labels import IGNORE, decode_label_map
from gannotate.project import Project, RealPicture
from gannotate.record import recorded
from gannotate.segmenters.build import SegmenterConfig, build_network, save_segmenter

Truth = Callable[[int], np.ndarray]

PORT = 8770
HOME = f"http://127.0.0.1:{PORT}"
WAITS = (sys.executable, "-c", "import sys; sys.stdin.read(); sys.exit(130)")


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    """Jobs that do nothing until they are cancelled."""
    made = Jobs(runner=WAITS)
    yield made
    made.stop()


def client_of(store: Store, live: Live, jobs: Jobs) -> TestClient:
    """A client that opened the printed address."""
    access = Access("127.0.0.1", PORT)
    client = TestClient(create_app(store, live, access, jobs), base_url=HOME, raise_server_exceptions=False)
    assert client.get(access.address.removeprefix(HOME)).status_code == 200
    return client


@pytest.fixture
def page(store: Store, tiny: StyleGAN2, jobs: Jobs) -> TestClient:
    return client_of(store, Live(store, tiny), jobs)


@pytest.fixture
def segmenter(project: Project) -> Path:
    """An untrained segmenter that counts as finished."""
    config = SegmenterConfig.of_classes(project.classes, image_channels=3, size=32, architecture="lraspp")
    folder = project.next_folder("segmenters", "lraspp")
    with recorded(folder, "train", {}, 0):
        save_segmenter(folder, build_network(config), config)
    return folder


def add_real(project: Project, colour: int) -> int:
    """Adds a plain real picture; its number."""
    picture = np.full((16, 16, 3), colour, np.uint8)
    about = RealPicture(f"holiday-{colour}", f"holiday-{colour}.jpg", "0", 16, 16, 0, 0, 16)
    (seed,) = project.add_real([(about, encode_picture(picture))])
    return seed


def test_nothing_runs_and_nothing_is_made_at_first(page: TestClient):
    assert page.get("/api/work").json() == {"job": None, "dataset": None, "segmenter": None}
    for kind, sentence in (("dataset", "no generated picture is labelled"), ("segmenter", "no dataset to learn from")):
        answer = page.post(f"/api/work/{kind}", json={})
        assert answer.status_code == 400
        assert sentence in answer.json()["detail"]


def test_a_job_is_begun_once_shown_and_cancelled(page: TestClient, store: Store, truth: Truth, jobs: Jobs):
    store.save(0, truth(0), 0)
    begun = page.post("/api/work/dataset", json={"count": 20, "decoder": "linear"})
    assert (begun.status_code, begun.json()["parts"]) == (200, 2)
    again = page.post("/api/work/dataset", json={})
    assert again.status_code == 409
    assert "a job runs already" in again.json()["detail"]
    assert page.get("/api/work").json()["job"]["status"] == "running"
    assert page.delete("/api/work").json()["job"]["status"] in ("cancelling", "cancelled")
    assert jobs.wait(20)
    assert page.get("/api/work").json()["job"]["status"] == "cancelled"


def test_a_segmenter_may_learn_from_the_labels_themselves(page: TestClient, store: Store, truth: Truth, jobs: Jobs):
    none = page.post("/api/work/segmenter", json={"source": "labels"})
    assert (none.status_code, none.json()["detail"]) == (400, "no picture is labelled yet; label one first")
    store.save(0, truth(0), 0)
    begun = page.post("/api/work/segmenter", json={"source": "labels", "steps": 3})
    assert (begun.status_code, begun.json()["title"], begun.json()["parts"]) == (200, "Gathering the labels", 2)
    jobs.stop()


@pytest.mark.parametrize(
    ("running", "order"),
    [
        ("segmenter", {"source": "labels", "steps": 3}),
        ("segmenter", {"source": "dataset"}),
        ("dataset", {}),
    ],
)
def test_an_order_that_is_refused_leaves_what_the_running_job_reads(
    page: TestClient, store: Store, truth: Truth, running: str, order: dict[str, object]
):
    store.save(0, truth(0), 0)
    begun = page.post("/api/work/segmenter", json={"source": "labels", "steps": 3})
    assert begun.status_code == 200
    gathered = store.folder / "for-training" / "labelled-0123456789ab.zip"  # of the labels when that job began
    gathered.parent.mkdir(exist_ok=True)
    gathered.write_bytes(b"zip")
    store.save(0, 1 - truth(0), 1)
    again = page.post(f"/api/work/{running}", json=order)
    assert again.status_code == 409
    assert "a job runs already" in again.json()["detail"]
    assert gathered.read_bytes() == b"zip"


@pytest.mark.parametrize(
    ("kind", "order"),
    [("dataset", {"count": 0}), ("dataset", {"decoder": "best"}), ("segmenter", {"steps": 0}), ("segmenter", {"x": 1})],
)
def test_orders_that_make_no_sense_are_refused(page: TestClient, kind: str, order: dict[str, object]):
    assert page.post(f"/api/work/{kind}", json=order).status_code == 422


def test_predictions_of_pool_pictures_and_of_any_other(page: TestClient, segmenter: Path):
    assert page.get("/api/work").json()["segmenter"] == segmenter.name
    answer = page.get("/api/pictures/0/prediction")
    assert (answer.headers["x-segmenter"], len(answer.content)) == (segmenter.name, 256)
    assert max(answer.content) < 3
    own = encode_picture(np.zeros((20, 30, 3), np.uint8))
    answer = page.post("/api/prediction", content=own)
    assert (answer.headers["x-width"], answer.headers["x-height"], len(answer.content)) == ("30", "20", 600)


def test_what_is_no_picture_or_too_large_is_refused(page: TestClient, segmenter: Path):
    for junk in (b"GIF89a", b"junk", b""):
        answer = page.post("/api/prediction", content=junk)
        assert answer.status_code == 400  # and not 507: nothing is wrong with the disk
        sentence = answer.json()["detail"]
        assert sentence.startswith("the picture cannot be read: not a whole picture (")
        assert sentence.endswith("; give a whole PNG, JPEG, GIF, BMP, TIFF or WebP file")
    large = Image.new("L", (MOST_PX // 1000 + 1, 1000))
    buffer = io.BytesIO()
    large.save(buffer, "PNG")
    answer = page.post("/api/prediction", content=buffer.getvalue())
    assert answer.status_code == 400
    assert "gannotate predict" in answer.json()["detail"]
    assert page.post("/api/prediction", content=bytes(9 << 20)).status_code == 413


def test_without_a_segmenter_there_is_a_sentence(page: TestClient):
    answer = page.get("/api/pictures/0/prediction")
    assert answer.status_code == 400
    assert "gannotate train" in answer.json()["detail"]


def test_superpixels_travel_as_four_bytes_a_pixel(page: TestClient, project: Project):
    answer = page.get("/api/pictures/0/superpixels", params={"side": 4})
    found = np.frombuffer(answer.content, "<u4").reshape(16, 16)
    with Image.open(project.pool_picture_path(0)) as picture:
        assert (found == superpixels(picture, 4)).all()
    assert page.get("/api/pictures/0/superpixels", params={"side": 9}).status_code == 400
    assert page.get("/api/pictures/0/superpixels", params={"side": 1}).status_code == 422
    assert page.get("/api/pictures/77/superpixels", params={"side": 4}).status_code == 404


@pytest.mark.parametrize("name", NAMES)
def test_every_format_comes_as_a_whole_zip(page: TestClient, store: Store, truth: Truth, name: str):
    assert name in [one["name"] for one in page.get("/api/export").json()]
    assert "nothing is labelled" in page.get(f"/api/export/{name}").json()["detail"]
    store.save(2, truth(2), 0)
    answer = page.get(f"/api/export/{name}")
    assert answer.headers["content-disposition"] == f'attachment; filename="parts-{name}.zip"'
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert len(archive.namelist()) >= 2


def test_the_palette_export_is_exact(page: TestClient, store: Store, truth: Truth):
    partly = truth(1)
    partly[:4] = IGNORE
    store.save(1, partly, 0)
    with zipfile.ZipFile(io.BytesIO(page.get("/api/export/palette").content)) as archive:
        assert (decode_label_map(archive.read("masks/1.png"), 3, "mask") == partly).all()
    assert page.get("/api/export/gif").status_code == 404


def test_real_pictures_are_labelled_beside_the_generated_ones(
    project: Project, tiny: StyleGAN2, truth: Truth, jobs: Jobs
):
    """They come last, have no guess and no wand, teach the model nothing, and are exported by their names."""
    seed = add_real(project, 90)
    store = Store(Project.open(project.folder))
    live = Live(store, tiny)
    live.start()
    page = client_of(store, live, jobs)
    named = {one["seed"]: one["name"] for one in page.get("/api/pictures").json()}
    assert named[seed] == "holiday-90"
    store.save(seed, truth(0), 0)
    live.request()
    assert live.wait()
    assert (live.state.model, live.state.error) == (0, "")
    assert page.get(f"/api/pictures/{seed}/guess").status_code == 204
    assert "superpixels" in page.get(f"/api/pictures/{seed}/similarity?x=1&y=1").json()["detail"]
    assert page.post("/api/work/dataset", json={}).status_code == 400
    with zipfile.ZipFile(io.BytesIO(page.get("/api/export/palette").content)) as archive:
        assert "masks/holiday-90.png" in archive.namelist()
    other = add_real(project, 20)
    for one in range(6):
        assert page.get("/api/next").json()["seed"] != other
        store.mark(one, "skip")
    assert page.get("/api/next").json()["seed"] == other
    live.stop()


def test_a_segmenter_guesses_real_pictures(page: TestClient, project: Project, segmenter: Path):
    seed = add_real(project, 90)
    assert page.get("/api/live").json()["segmenter"] == int(segmenter.name[:4])
    answer = page.get(f"/api/pictures/{seed}/guess")
    assert answer.headers["x-model"] == str(int(segmenter.name[:4]))
    labels, uncertainty, confidence = np.frombuffer(answer.content, np.uint8).reshape(3, 256)
    assert (labels == np.frombuffer(page.get(f"/api/pictures/{seed}/prediction").content, np.uint8)).all()
    assert uncertainty.max() > 0
    assert confidence.min() >= 255 // 3  # the most probable of three classes
    assert page.get("/api/pictures/0/guess").status_code == 204  # a generated one waits for the live model


def test_a_project_of_real_pictures_only_is_labelled_too(tmp_path: Path, project: Project, truth: Truth, jobs: Jobs):
    config = project.config.model_copy(update={"generator": None, "format_version": 2})
    made = Project.create(tmp_path / "real", config)
    seed = add_real(made, 90)
    store = Store(Project.open(made.folder))
    live = Live(store, None)
    live.start()
    page = client_of(store, live, jobs)
    assert page.get("/api/next").json()["seed"] == seed
    assert page.get("/api/project").json()["generates"] is False
    assert "train a segmenter" in page.get("/api/live").json()["text"]
    store.save(seed, truth(0), 0)
    live.request()
    assert live.wait()
    assert (live.state.model, live.state.error) == (0, "")
    assert page.get("/api/next").json()["seed"] is None
    assert page.get(f"/api/pictures/{seed}/guess").status_code == 204
    live.stop()
