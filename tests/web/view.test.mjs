// Zoom, pan and brush sizes.
import assert from "node:assert/strict";
import { test } from "node:test";
import { LARGEST, fitView, nextSize, oneToOne, pan, toPicture, toScreen, zoomAt } from "../../src/gannotate/annotate/static/view.js";

const near = (a, b) => assert.ok(Math.abs(a - b) < 1e-6, `${a} is not ${b}`);

test("a fitted picture is whole, centred and as large as the margin lets it be", () => {
  const view = fitView(64, 800, 500, 10);
  near(toScreen(view, { x: 0, y: 0 }).y, 10);
  near(toScreen(view, { x: 64, y: 64 }).y, 490);
  near(toScreen(view, { x: 32, y: 32 }).x, 400);
});

test("1:1 is one screen pixel a picture pixel, also on dense screens", () => {
  near(oneToOne(64, 800, 500).scale, 1);
  near(oneToOne(64, 800, 500, 2).scale, 0.5);
});

test("what is under the pointer stays there while zooming", () => {
  let view = fitView(64, 800, 500);
  const point = { x: 333, y: 77 };
  const before = toPicture(view, point);
  for (const factor of [1.3, 0.5, 4, 4, 0.01]) {
    view = zoomAt(view, point, factor);
    near(toPicture(view, point).x, before.x);
    near(toPicture(view, point).y, before.y);
  }
});

test("zoom has ends", () => {
  let view = fitView(64, 800, 500);
  for (let step = 0; step < 50; step += 1) view = zoomAt(view, { x: 0, y: 0 }, 2);
  assert.equal(view.scale, LARGEST);
  for (let step = 0; step < 50; step += 1) view = zoomAt(view, { x: 0, y: 0 }, 0.5);
  assert.equal(view.scale, 0.1);
});

test("screen and picture places are each other's inverse, also after a pan", () => {
  const view = pan(zoomAt(fitView(64, 800, 500), { x: 5, y: 6 }, 3), 40, -7);
  const back = toPicture(view, toScreen(view, { x: 12.5, y: 60 }));
  near(back.x, 12.5);
  near(back.y, 60);
});

test("brush sizes go up and down and stay between 1 and the largest", () => {
  let size = 1;
  assert.equal(nextSize(size, -1), 1);
  for (let step = 0; step < 200; step += 1) {
    const next = nextSize(size, 1, 100);
    assert.ok(next > size || next === 100);
    size = next;
  }
  assert.equal(size, 100);
});
