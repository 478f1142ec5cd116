// What is seen, and which key does what.
import assert from "node:assert/strict";
import { test } from "node:test";
import { KEYS, actionOf } from "../../src/gannotate/annotate/static/keys.js";
import { colourOf, freshColour, hexOf, paintOverlay, paintSelected, paintUncertainty } from "../../src/gannotate/annotate/static/paint.js";
import { IGNORE, makeMap } from "../../src/gannotate/annotate/static/raster.js";

const COLOURS = [[40, 40, 40], [255, 0, 0], [0, 0, 255]];

function shown(values, look) {
  const map = makeMap(values.length, 1);
  map.data.set(values);
  const out = new Uint8ClampedArray(4 * values.length);
  paintOverlay(out, map, COLOURS, { opacity: 1, outline: false, hidden: false, ...look });
  return values.map((_, at) => [...out.slice(4 * at, 4 * at + 4)]);
}

test("every class has its own colour and no pixel a mixture", () => {
  const seen = shown([1, 2, 1, IGNORE, 2], {});
  assert.deepEqual(seen, [[255, 0, 0, 255], [0, 0, 255, 255], [255, 0, 0, 255], [0, 0, 0, 0], [0, 0, 255, 255]]);
});

test("opacity, outlines and hiding", () => {
  assert.equal(shown([1], { opacity: 0.5 })[0][3], 128);
  assert.deepEqual(shown([1, 1, 2], { outline: true }).map((pixel) => pixel[3]), [0, 255, 255]);
  assert.ok(shown([1, 2], { hidden: true }).every((pixel) => pixel[3] === 0));
  assert.ok(shown([0], { opacity: 0.5 })[0][3] < shown([1], { opacity: 0.5 })[0][3]);
});

test("only the rows that are asked for are written", () => {
  const map = makeMap(2, 3, 1);
  const out = new Uint8ClampedArray(24);
  paintOverlay(out, map, COLOURS, { opacity: 1 }, 1, 2);
  assert.deepEqual([3, 11, 19].map((at) => out[at]), [0, 255, 0]);
});

test("certain pixels are clear, and more uncertain ones are seen more", () => {
  const out = new Uint8ClampedArray(12);
  paintUncertainty(out, Uint8Array.from([0, 100, 255]));
  assert.equal(out[3], 0);
  assert.ok(out[7] > 0 && out[11] > out[7]);
});

test("a selection is a veil on selected pixels only", () => {
  const out = new Uint8ClampedArray(8);
  paintSelected(out, Uint8Array.from([0, 1]), 2, [1, 2, 3]);
  assert.deepEqual([...out.slice(3, 8)], [0, 1, 2, 3, 200]);
});

test("colours go to hexadecimal and back; fresh ones differ", () => {
  for (const colour of [...COLOURS, [1, 16, 200]]) assert.deepEqual(colourOf(hexOf(colour)), colour);
  const fresh = Array.from({ length: 12 }, (_, index) => hexOf(freshColour(index)));
  assert.equal(new Set(fresh).size, 12);
  for (const hex of fresh) assert.match(hex, /^#[0-9a-f]{6}$/);
});

const key = (key, more = {}) => actionOf({ key, code: "", ...more });

test("every key of the list does what it says, and no key two things", () => {
  const keys = KEYS.map(([name]) => name);
  assert.equal(new Set(keys).size, keys.length);
  for (const [name, action] of KEYS) {
    if (!action) continue;
    const shift = name.startsWith("shift+");
    assert.equal(key(name.replace("shift+", ""), { shiftKey: shift }), action);
  }
});

test("digits choose classes wherever they are on the keyboard", () => {
  assert.equal(key("3", { code: "Digit3" }), "class:3");
  assert.equal(key("#", { code: "Digit3", shiftKey: true }), "class:13");
  assert.equal(key("0", { code: "Numpad0" }), "class:0");
});

test("Alt with Enter takes labels away; other Alt keys are the browser's", () => {
  assert.equal(key("Enter", { altKey: true }), "subtract");
  assert.equal(key("f", { altKey: true }), "");
});

test("Ctrl and Cmd leave the browser its keys", () => {
  assert.equal(key("z", { ctrlKey: true }), "undo");
  assert.equal(key("Z", { metaKey: true, shiftKey: true }), "redo");
  assert.equal(key("y", { ctrlKey: true }), "redo");
  for (const taken of ["n", "w", "p", "a"]) assert.equal(key(taken, { ctrlKey: true }), "");
  assert.equal(key("F5"), "");
});
