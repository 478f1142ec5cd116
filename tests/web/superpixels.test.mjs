// Superpixels: which pixels belong together, strokes over them, and their borders.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Editing } from "../../src/gannotate/annotate/static/editing.js";
import { paintGrid } from "../../src/gannotate/annotate/static/paint.js";
import { IGNORE, makeMap } from "../../src/gannotate/annotate/static/raster.js";
import { Patches, paintPatch } from "../../src/gannotate/annotate/static/superpixels.js";

const QUARTERS = Uint32Array.from({ length: 64 }, (_, at) => (at % 8 < 4 ? 0 : 1) + (at < 32 ? 0 : 2));

function setup() {
  const log = { changed: 0, drawn: [] };
  const edit = new Editing(8, {
    drawn: (top, bottom) => log.drawn.push([top, bottom]),
    changed: () => (log.changed += 1),
    selection: () => {},
    polygon: () => {},
  });
  edit.tool = "superpixel";
  edit.patches = new Patches(QUARTERS, 8);
  return { edit, log };
}

const count = (edit, value) => edit.map.data.filter((one) => one === value).length;

test("every pixel is in the list of its superpixel, once", () => {
  const values = Uint32Array.from([2, 0, 1, 1, 0, 2, 2, 2, 0]);
  const patches = new Patches(values, 3);
  assert.deepEqual([0, 1, 2].map((id) => [...patches.of(id)]), [[1, 4, 8], [2, 3], [0, 5, 6, 7]]);
});

test("a line passes the superpixels between its ends, and none outside of the picture", () => {
  const patches = new Patches(QUARTERS, 8);
  assert.deepEqual([...patches.along({ x: 1, y: 1 }, { x: 6, y: 1 })], [0, 1]);
  assert.deepEqual([...patches.along({ x: -9, y: -9 }, { x: -1, y: -1 })], []);
  assert.deepEqual([...patches.along({ x: 1, y: 7 }, { x: 1, y: 20 })], [2]);
});

test("a drag adds superpixels as one step; locked pixels stay", () => {
  const { edit, log } = setup();
  edit.map.data[0] = 3;
  edit.toggleLock(3);
  edit.down({ x: 1, y: 1 });
  edit.move({ x: 6, y: 1 });
  edit.move({ x: 1, y: 1 });
  edit.up();
  assert.deepEqual([log.changed, count(edit, 1), edit.map.data[0]], [1, 31, 3]);
  assert.deepEqual(log.drawn, [[0, 4], [0, 4]]);
  edit.undo();
  assert.equal(count(edit, 1), 0);
});

test("with Alt they lose their labels; outside, and before they are here, nothing happens", () => {
  const { edit, log } = setup();
  for (const subtract of [false, true]) {
    edit.down({ x: 6, y: 6 }, subtract);
    edit.up();
  }
  assert.deepEqual([log.changed, count(edit, IGNORE)], [2, 64]);
  edit.down({ x: -3, y: 6 });
  edit.up();
  edit.open(makeMap(8, 8));
  edit.down({ x: 6, y: 6 });
  edit.up();
  assert.deepEqual([log.changed, count(edit, IGNORE)], [2, 64]);
});

test("painting tells its rows and how much changed", () => {
  const map = makeMap(8, 8);
  const patches = new Patches(QUARTERS, 8);
  assert.deepEqual(paintPatch(map, patches, 3, 2), { changed: 16, top: 4, bottom: 8 });
  assert.equal(paintPatch(map, patches, 3, 2).changed, 0);
});

test("borders lie between superpixels, light beside dark, and nowhere else", () => {
  const out = new Uint8ClampedArray(4 * 16 * 16);
  paintGrid(out, QUARTERS, 8, 2);
  const at = (x, y) => [out[4 * (16 * y + x)], out[4 * (16 * y + x) + 3]];
  assert.deepEqual([at(7, 2), at(8, 2)], [[255, 130], [0, 130]]);
  assert.deepEqual([at(2, 7), at(2, 8)], [[255, 130], [0, 130]]);
  let seen = 0;
  for (let pixel = 3; pixel < out.length; pixel += 4) seen += out[pixel] > 0 ? 1 : 0;
  assert.equal(seen, 2 * 2 * 16 - 4); // two lines of two pixels each way, their crossing once
});
