// Painting class ids: closed-form truths.
import assert from "node:assert/strict";
import { test } from "node:test";
import { IGNORE, fill, isBorder, makeMap, paintDisc, paintLine, paintPolygon, paintSelection, region, select } from "../../src/gannotate/annotate/static/raster.js";

const count = (map, value) => map.data.filter((one) => one === value).length;
const at = (map, x, y) => map.data[y * map.width + x];

test("a brush of 1 pixel paints the pixel that the point is in", () => {
  for (const [x, y] of [[0, 0], [3.2, 4.9], [7.99, 7.99]]) {
    const map = makeMap(8, 8);
    assert.equal(paintDisc(map, x, y, 1, 2), 1);
    assert.equal(at(map, Math.floor(x), Math.floor(y)), 2);
  }
});

test("a disc holds the pixels whose middles lie within its radius, and no other", () => {
  for (const [x, y, diameter] of [[16, 16, 2], [16.5, 16.5, 5], [10.3, 20.8, 13], [16, 16, 30]]) {
    const map = makeMap(32, 32);
    const changed = paintDisc(map, x, y, diameter, 1);
    let inside = 0;
    for (let row = 0; row < 32; row += 1) {
      for (let column = 0; column < 32; column += 1) {
        const apart = Math.hypot(column + 0.5 - x, row + 0.5 - y) - diameter / 2;
        if (Math.abs(apart) < 1e-9) continue;
        assert.equal(at(map, column, row), apart < 0 ? 1 : IGNORE, `${column},${row} of ${x},${y},${diameter}`);
        inside += apart < 0;
      }
    }
    assert.ok(changed >= inside);
  }
});

test("a disc's area is that of the circle", () => {
  const map = makeMap(200, 200);
  const area = paintDisc(map, 100, 100, 150, 1);
  assert.ok(Math.abs(area / (Math.PI * 75 * 75) - 1) < 0.01);
});

test("what lies outside of the map is left out", () => {
  const map = makeMap(8, 4);
  paintDisc(map, -1, -1, 6, 1);
  paintDisc(map, 9, 5, 6, 2);
  paintDisc(map, 100, 100, 6, 3);
  assert.equal(at(map, 0, 0), 1);
  assert.equal(at(map, 7, 3), 2);
  assert.equal(count(map, 3), 0);
  assert.equal(at(map, 7, 0), IGNORE);
});

test("a line has no gaps, however long it is", () => {
  const map = makeMap(64, 64);
  paintLine(map, { x: 1, y: 2 }, { x: 62, y: 40 }, 1, 1);
  for (let x = 1; x <= 61; x += 1) {
    const column = Array.from({ length: 64 }, (_, y) => at(map, x, y));
    assert.ok(column.includes(1), `column ${x}`);
  }
});

test("locked classes are not painted over, by any tool", () => {
  const locked = new Set([5]);
  const tools = [
    (map) => paintDisc(map, 4, 4, 8, 1, locked),
    (map) => paintPolygon(map, [{ x: 0, y: 0 }, { x: 8, y: 0 }, { x: 8, y: 8 }, { x: 0, y: 8 }], 1, locked),
    (map) => paintSelection(map, new Uint8Array(64).fill(1), 1, locked),
    (map) => fill(map, 4, 4, 1, locked),
  ];
  for (const tool of tools) {
    const map = makeMap(8, 8);
    map.data[4 * 8 + 4] = 5;
    tool(map);
    assert.equal(at(map, 4, 4), 5);
  }
});

test("a rectangle as a polygon holds exactly its pixels, either way round", () => {
  const corners = [{ x: 2, y: 1 }, { x: 6, y: 1 }, { x: 6, y: 5 }, { x: 2, y: 5 }];
  for (const points of [corners, corners.toReversed()]) {
    const map = makeMap(8, 8);
    assert.equal(paintPolygon(map, points, 1), 16);
    assert.equal(at(map, 2, 1), 1);
    assert.equal(at(map, 5, 4), 1);
    assert.equal(at(map, 6, 5), IGNORE);
  }
});

test("a polygon that crosses itself is filled by the even-odd rule", () => {
  const map = makeMap(10, 10);
  const square = (a, b) => [{ x: a, y: a }, { x: b, y: a }, { x: b, y: b }, { x: a, y: b }, { x: a, y: a }];
  paintPolygon(map, [...square(0, 10), ...square(3, 7).toReversed()], 1);
  assert.equal(at(map, 1, 1), 1);
  assert.equal(at(map, 5, 5), IGNORE);
});

test("two polygons that share a side leave no gap and overlap nowhere", () => {
  const map = makeMap(16, 16);
  const ends = [{ x: 1.3, y: 0 }, { x: 12.7, y: 16 }];
  const left = paintPolygon(map, [{ x: 0, y: 0 }, ...ends, { x: 0, y: 16 }], 1);
  const right = paintPolygon(map, [...ends, { x: 16, y: 16 }, { x: 16, y: 0 }], 2);
  assert.equal(left + right, 256);
  assert.equal(count(map, 1) + count(map, 2), 256);
});

test("fewer than three corners are no polygon; corners outside do no harm", () => {
  const map = makeMap(4, 4);
  assert.equal(paintPolygon(map, [{ x: 0, y: 0 }, { x: 3, y: 3 }], 1), 0);
  assert.equal(paintPolygon(map, [{ x: -50, y: -50 }, { x: 60, y: -50 }, { x: 60, y: 60 }, { x: -50, y: 60 }], 1), 16);
});

test("fill stops at another class and does not go around corners", () => {
  const map = makeMap(5, 5);
  for (let y = 0; y < 5; y += 1) map.data[y * 5 + 2] = 3;
  assert.equal(fill(map, 0, 0, 1), 10);
  assert.equal(count(map, 3), 5);
  assert.equal(count(map, IGNORE), 10);
  const diagonal = makeMap(2, 2);
  diagonal.data.set([1, 2, 2, 1]);
  assert.equal(fill(diagonal, 0, 0, 7), 1);
});

test("a region does not wrap around the map's sides", () => {
  const map = makeMap(4, 3, 1);
  map.data.set([1, 2, 2, 1, 1, 2, 2, 1, 1, 2, 2, 1]);
  const found = region(4, 3, 3, 0, (index) => map.data[index] === 1);
  assert.deepEqual([...found], [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1]);
  assert.equal(region(4, 3, 9, 9, () => true).includes(1), false);
});

test("fill of a large map ends, and changes all of it", () => {
  assert.equal(fill(makeMap(512, 512), 100, 100, 1), 512 * 512);
});

test("the wand selects from its threshold on, everywhere or around the click", () => {
  const alike = Uint8Array.from([255, 200, 10, 200]);
  assert.deepEqual([...select(alike, 4, 1, 200, 0, 0, false)], [1, 1, 0, 1]);
  assert.deepEqual([...select(alike, 4, 1, 200, 0, 0, true)], [1, 1, 0, 0]);
  assert.deepEqual([...select(alike, 4, 1, 201, 0, 0, false)], [1, 0, 0, 0]);
});

test("borders are where the class changes", () => {
  const map = makeMap(4, 1);
  map.data.set([1, 1, 2, 2]);
  assert.deepEqual([0, 1, 2, 3].map((index) => isBorder(map, index)), [false, true, true, false]);
});
