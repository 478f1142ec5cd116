// What the panels say and draw, without a page.
import assert from "node:assert/strict";
import { test } from "node:test";
import { inWords, place, range } from "../../src/gannotate/annotate/static/curve.js";
import { HINTS } from "../../src/gannotate/annotate/static/hints.js";
import { inWords as imported, pairs } from "../../src/gannotate/annotate/static/importing.js";
import { TOOLS } from "../../src/gannotate/annotate/static/editing.js";
import { begun } from "../../src/gannotate/annotate/static/notice.js";
import { stripName } from "../../src/gannotate/annotate/static/panels.js";

const CURVE = [{ labelled: 1, miou: 0.4 }, { labelled: 2, miou: 0.5 }, { labelled: 4, miou: 0.62 }, { labelled: 5, miou: 0.63 }];

test("every doubling is as wide, and more is higher", () => {
  const points = place(CURVE);
  assert.ok(Math.abs(points[1].x - points[0].x - (points[2].x - points[1].x)) < 1e-9);
  assert.ok(points.every((point, index) => !index || (point.x > points[index - 1].x && point.y < points[index - 1].y)));
});

test("the scale ends at tenths and never has no height", () => {
  assert.deepEqual(range(CURVE), { low: 0.4, high: 0.7 });
  const { low, high } = range([{ labelled: 1, miou: 0.5 }, { labelled: 2, miou: 0.5 }]);
  assert.ok(Math.abs(high - low - 0.1) < 1e-9 && low <= 0.5);
  for (const { y } of place([{ labelled: 1, miou: 0 }, { labelled: 2, miou: 1 }])) assert.ok(y >= 0 && y <= 92);
});

test("the curve in words", () => {
  assert.match(inWords(CURVE), /40% with 1, 50% with 2, 62% with 4, 63% with 5$/);
});

test("every tool has its hint", () => {
  assert.deepEqual(Object.keys(HINTS).sort(), [...TOOLS].sort());
});

test("pairs of names", () => {
  assert.deepEqual(pairs(" hat=hair ,64=ignore,"), ["hat=hair", "64=ignore"]);
  assert.deepEqual(pairs(""), []);
});

test("what came in, in words", () => {
  const one = { imported: 1, pictures: 0, unchanged: 0, notes: [] };
  assert.equal(imported([one]), "1 picture labelled.");
  const more = { imported: 3, pictures: 2, unchanged: 1, notes: ["no mask has what --map calls hat"] };
  assert.equal(
    imported([one, more]),
    "4 pictures labelled, 2 of them new in the pool, 1 had these labels already. No mask has what --map calls hat.",
  );
});

test("a message begins with a capital letter, unless with a file", () => {
  assert.equal(begun("the server does not answer"), "The server does not answer");
  assert.equal(begun("no label"), "No label");
  for (const path of ["faces/annotations/3.png is 8x8 px", "/tmp/a.png is no PNG", "marks.jsonl, line 1 is not JSON", ""]) assert.equal(begun(path), path);
});

test("a label that cannot be read is said of a picture in the strip", () => {
  const fine = { name: "3", mark: null, trouble: "" };
  assert.equal(stripName(fine, "12%"), "Picture 3, 12% labelled");
  assert.equal(stripName({ ...fine, mark: "skip" }, ""), "Picture 3, nothing labelled, skip");
  assert.equal(stripName({ ...fine, trouble: "3.png is 8x8 px" }, ""), "Picture 3, its label cannot be read");
});
