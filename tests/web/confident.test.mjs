// Taking over what the model is sure of, and what the page says of jobs and times.
import assert from "node:assert/strict";
import { test } from "node:test";
import { clock, left } from "../../src/gannotate/annotate/static/clock.js";
import { countConfident, leastByte, takeConfident } from "../../src/gannotate/annotate/static/confident.js";
import { Editing } from "../../src/gannotate/annotate/static/editing.js";
import { IGNORE, makeMap } from "../../src/gannotate/annotate/static/raster.js";

test("only unlabelled pixels that are sure enough are taken, and as many as were counted", () => {
  const map = makeMap(4, 1);
  map.data[0] = 5;
  const confidence = Uint8Array.from([255, 250, 217, 216]);
  const least = leastByte(85);
  assert.equal(least, 217); // 0.85 * 255 = 216.75: p > .85
  assert.equal(countConfident(map, confidence, least), 2);
  assert.equal(takeConfident(map, Uint8Array.from([1, 2, 3, 4]), confidence, least), 2);
  assert.deepEqual([...map.data], [5, 2, 3, IGNORE]);
});

test("a byte of the least is more than the percent, whatever the percent", () => {
  for (let percent = 50; percent < 100; percent += 1) {
    assert.ok(leastByte(percent) > (255 * percent) / 100);
    assert.ok(leastByte(percent) - 1 <= (255 * percent) / 100);
    assert.ok(leastByte(percent) <= 255);
  }
});

test("it is one step that can be undone, and none when nothing is sure", () => {
  let changed = 0;
  const edit = new Editing(2, { drawn: () => {}, changed: () => (changed += 1) });
  const [labels, confidence] = [Uint8Array.from([1, 1, 2, 2]), Uint8Array.from([255, 0, 255, 0])];
  assert.equal(edit.takeConfident(labels, confidence, 200), true);
  assert.deepEqual([...edit.map.data], [1, IGNORE, 2, IGNORE]);
  assert.equal(edit.takeConfident(labels, confidence, 200), false);
  edit.undo();
  assert.ok(edit.map.data.every((value) => value === IGNORE));
  assert.equal(changed, 2);
});

test("times are read like clocks", () => {
  assert.deepEqual([0, 5.4, 65, 7265, -3].map(clock), ["0:00", "0:05", "1:05", "2:01:05", "0:00"]);
  assert.deepEqual([left(0, 10, 3), left(5, 10, 3), left(10, 10, 3)], [null, 3, 0]);
});
