// The tools, stroke by stroke, without a page.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Editing } from "../../src/gannotate/annotate/static/editing.js";
import { IGNORE } from "../../src/gannotate/annotate/static/raster.js";

function setup(size = 16) {
  const log = { changed: 0, picked: [], wand: [], drawn: [], selection: null };
  const edit = new Editing(size, {
    drawn: (top, bottom) => log.drawn.push([top, bottom]),
    changed: () => (log.changed += 1),
    picked: (value) => log.picked.push(value),
    wand: (x, y) => log.wand.push([x, y]),
    polygon: () => {},
    selection: (selection) => (log.selection = selection),
  });
  edit.size = 3;
  const click = (x, y, subtract = false) => {
    edit.down({ x, y }, subtract);
    edit.up();
  };
  const at = (x, y) => edit.map.data[y * size + x];
  return { edit, log, click, at };
}

test("a stroke is one step back, whatever it crosses", () => {
  const { edit, log, at } = setup();
  edit.down({ x: 2, y: 2 });
  edit.move({ x: 12, y: 2 });
  edit.move({ x: 12, y: 12 });
  edit.up();
  assert.equal(log.changed, 1);
  assert.equal(at(12, 12), 1);
  edit.undo();
  assert.ok(edit.map.data.every((value) => value === IGNORE));
  edit.redo();
  assert.equal(at(12, 12), 1);
  assert.equal(log.changed, 3);
});

test("the rows that are told cover every changed pixel", () => {
  const { edit, log } = setup();
  edit.size = 5;
  edit.down({ x: 8, y: 8 });
  edit.move({ x: 8, y: 12.4 });
  const rows = [...edit.map.data].flatMap((value, index) => (value === IGNORE ? [] : [Math.floor(index / 16)]));
  assert.ok(Math.min(...log.drawn.map(([top]) => top)) <= Math.min(...rows));
  assert.ok(Math.max(...log.drawn.map(([, bottom]) => bottom)) > Math.max(...rows));
});

test("moving without a press draws nothing; a stroke that changes nothing is no step", () => {
  const { edit, log, click } = setup();
  edit.move({ x: 4, y: 4 });
  assert.equal(log.changed, 0);
  click(4, 4);
  click(4, 4);
  assert.equal(log.changed, 1);
});

test("eraser, and brush with Alt, take labels away", () => {
  for (const [tool, subtract] of [["eraser", false], ["brush", true]]) {
    const { edit, click, at } = setup();
    click(4, 4);
    edit.tool = tool;
    click(4, 4, subtract);
    assert.equal(at(4, 4), IGNORE);
  }
});

test("a polygon closes at its first corner, adds, and with Alt subtracts", () => {
  const { edit, click, at, log } = setup();
  edit.tool = "polygon";
  edit.scale = () => 10;
  for (const [x, y] of [[1, 1], [15, 1], [15, 15], [1, 15]]) click(x, y);
  assert.equal(log.changed, 0);
  click(1.2, 1.1);
  assert.equal(at(8, 8), 1);
  assert.equal(log.changed, 1);
  for (const [x, y] of [[4, 4], [12, 4], [12, 12]]) click(x, y);
  edit.accept(true);
  assert.equal(at(11, 6), IGNORE);
  assert.equal(at(2, 12), 1);
});

test("the last corner is taken back, and Escape drops all", () => {
  const { edit, click } = setup();
  edit.tool = "polygon";
  for (const [x, y] of [[1, 1], [9, 1], [9, 9]]) click(x, y);
  edit.back();
  assert.equal(edit.points.length, 2);
  edit.accept();
  assert.equal(edit.points.length, 2); // two corners are no polygon
  edit.cancel();
  assert.equal(edit.points.length, 0);
});

test("the wand asks, selects, follows the slider and labels", () => {
  const { edit, click, log, at } = setup(2);
  edit.tool = "wand";
  click(1, 0);
  assert.deepEqual(log.wand, [[1, 0]]);
  edit.threshold = 100;
  edit.setAlike(Uint8Array.from([90, 255, 120, 130]), 1, 0);
  assert.deepEqual([...log.selection], [0, 1, 1, 1]);
  edit.threshold = 125;
  edit.reselect();
  assert.deepEqual([...log.selection], [0, 1, 0, 1]);
  edit.value = 2;
  edit.accept();
  assert.deepEqual([at(0, 0), at(1, 0), at(0, 1), at(1, 1)], [IGNORE, 2, IGNORE, 2]);
  assert.equal(log.selection, null);
});

test("a stroke that a second finger ends is taken back and is no step", () => {
  const { edit, log, click, at } = setup();
  click(4, 4);
  edit.down({ x: 10, y: 10 });
  edit.move({ x: 12, y: 10 });
  edit.abort();
  edit.up();
  assert.deepEqual([at(4, 4), at(10, 10), log.changed], [1, IGNORE, 1]);
});

test("pick tells the class; tools outside of the picture do nothing", () => {
  const { edit, click, log } = setup();
  click(4, 4);
  edit.tool = "pick";
  click(4, 4);
  click(-1, 4);
  edit.tool = "wand";
  click(16, 3);
  assert.deepEqual([log.picked, log.wand], [[1], []]);
});

test("a frozen map is not changed by any tool", () => {
  const { edit, click } = setup();
  edit.frozen = true;
  for (const tool of ["brush", "eraser", "fill"]) {
    edit.tool = tool;
    click(4, 4);
  }
  edit.replace(new Uint8Array(256));
  assert.ok(edit.map.data.every((value) => value === IGNORE));
});

test("a guess goes where nothing is labelled, as one step", () => {
  const { edit, click, at } = setup();
  click(4, 4);
  edit.fillFrom(new Uint8Array(256).fill(3));
  assert.deepEqual([at(4, 4), at(10, 10)], [1, 3]);
  edit.undo();
  assert.deepEqual([at(4, 4), at(10, 10)], [1, IGNORE]);
});

test("locks are toggled", () => {
  const { edit, click, at } = setup();
  click(4, 4);
  edit.toggleLock(1);
  edit.value = 2;
  click(4, 4);
  assert.equal(at(4, 4), 1);
  edit.toggleLock(1);
  click(4, 4);
  assert.equal(at(4, 4), 2);
});
