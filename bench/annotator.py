"""The annotator's page in Chromium: milliseconds a frame of a stroke, of undo, and seconds until the next guess.

    python bench/annotator.py [--size 512] [--strokes 5] [--portraits 5] [--out annotator.json]

At `--size` px (a StyleGAN2 with random weights draws the picture) strokes of 120 moves are drawn with a brush of a
sixteenth of the picture. `frame_ms` is what a frame costs the page: every move since the last one, the drawing, and the
wait until the canvas is drawn; 16 ms are there at 60 frames a second. `undo_ms` is from the click to the next frame.
Then 64 px portraits are labelled one after the other after the shipped labels: `guess_s` is from the click on Next
picture, with a stroke that is not saved yet, to the guess of a model that has learned from that stroke, on the picture
that opens. Needs Chromium (see docs/annotator.md).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from measure import show
from playwright.sync_api import Browser, sync_playwright

from gannotate.files import write_json
from gannotate.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from gannotate.record import hardware, versions

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "web"))  # driving.py drives the tests too
from driving import Annotator, find_chromium, launch, portraits_project, served, shipped_labels

MOVES = 120

PROBE = """() => {
  window.probe = { frames: [], spent: 0 };
  let begun = 0;
  window.addEventListener("pointermove", () => { begun = performance.now(); }, true);
  window.addEventListener("pointermove", () => { window.probe.spent += performance.now() - begun; });
  const ask = window.requestAnimationFrame.bind(window);
  window.requestAnimationFrame = (run) => ask((now) => {
    const start = performance.now();
    run(now);
    document.getElementById("board").getContext("2d").getImageData(0, 0, 1, 1); // waits until what was drawn is drawn
    window.probe.frames.push(window.probe.spent + performance.now() - start);
    window.probe.spent = 0;
  });
}"""
"""Adds up what a frame costs: every move since the last one, the drawing, and waiting for the canvas."""

UNDO = """async () => {
  const start = performance.now();
  document.querySelector("[data-action=undo]").click();
  await new Promise((done) => requestAnimationFrame(() => done()));
  return performance.now() - start;
}"""


def main() -> None:
    """Measures, prints and writes."""
    flags = parse()
    chromium = find_chromium()
    if chromium is None:
        sys.exit("no Chromium here: apt-get install chromium, or name one in CHROMIUM")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = launch(playwright, chromium)
        rows = {"strokes": strokes(browser, Path(folder) / "large", flags.size, flags.strokes)}
        show(rows["strokes"])
        rows["guesses"] = guesses(browser, Path(folder) / "portraits", flags.portraits)
        show(rows["guesses"])
        about = {"browser": browser.version, "versions": versions(), "hardware": hardware()}
        browser.close()
    if flags.out:
        write_json(flags.out, rows | about)


def parse() -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--strokes", type=int, default=5)
    parser.add_argument("--portraits", type=int, default=5)
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def opened(browser: Browser, address: str, size: int) -> Annotator:
    """The page in a window of its own."""
    annotator = Annotator(browser.new_page(viewport={"width": 1280, "height": 900}), size)
    annotator.page.add_init_script(f"({PROBE})()")
    annotator.open(address)
    return annotator


def strokes(browser: Browser, folder: Path, size: int, count: int) -> dict[str, Any]:
    """Milliseconds a frame while strokes are drawn, and of undoing them."""
    torch.manual_seed(0)
    generator = StyleGAN2(
        StyleGAN2Config(size=size, z_dim=32, w_dim=32, mapping_layers=2, channel_base=1024, channel_max=16)
    ).eval()
    frames, undone = [], []
    with served(portraits_project(folder, [0], generator), generator) as (address, _):
        annotator = opened(browser, address, size)
        for number in range(count):
            annotator.choose_class(1 + number)
            annotator.page.evaluate("window.probe.frames.length = 0")
            row = (number + 0.5) / count * size
            path = [(size * (0.05 + 0.9 * step / MOVES), row + size / 16 * (step % 2)) for step in range(MOVES)]
            annotator.drag(*path)
            frames += annotator.page.evaluate("window.probe.frames")
        undone = [annotator.page.evaluate(UNDO) for _ in range(count)]
        errors = annotator.errors
        annotator.page.close()
    if errors:
        sys.exit(f"the page failed: {errors[0]}")
    return {"size": size, "frames": len(frames), "frame_ms": spread(frames), "undo_ms": spread(undone)}


def guesses(browser: Browser, folder: Path, count: int) -> dict[str, Any]:
    """Seconds from saving a portrait to the guess of the next one."""
    waited = []
    with served(portraits_project(folder, range(count + 3))) as (address, live):
        annotator = opened(browser, address, 64)
        for number in range(count):
            if number:
                annotator.page.get_by_role("button", name="Start blank").click()
            annotator.scribble(shipped_labels(annotator.seed), every=4)
            annotator.wait_state("saved")
            live.wait()
            model = live.state.model
            annotator.click(2, 2)  # a last stroke: its save is the one that is timed
            begin = time.perf_counter()
            annotator.page.locator("#next").click()
            annotator.wait_state("guess")
            annotator.until(f"window.fetch('/api/live').then((got) => got.json()).then((now) => now.model > {model})")
            seed = annotator.seed
            live.guess(seed)
            waited.append(time.perf_counter() - begin)
            annotator.until("document.getElementById('notice-buttons').children.length > 0")
        annotator.page.close()
    return {"size": 64, "portraits": count, "guess_s": spread(waited)}


def spread(values: list[float]) -> dict[str, float]:
    """Median, 95th percentile and largest."""
    ordered = sorted(values)
    high = ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))]
    return {"median": round(statistics.median(ordered), 3), "p95": round(high, 3), "largest": round(ordered[-1], 3)}


if __name__ == "__main__":
    main()
