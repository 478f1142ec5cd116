// Unsaved maps in the browser's own storage.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Drafts, decodeRuns, encodeRuns } from "../../src/gannotate/annotate/static/draft.js";

function storage(room = Infinity) {
  const kept = new Map();
  return {
    kept,
    getItem: (key) => kept.get(key) ?? null,
    removeItem: (key) => kept.delete(key),
    setItem: (key, value) => {
      if (value.length > room) throw new Error("QuotaExceededError");
      kept.set(key, value);
    },
  };
}

test("every map comes back as it was", () => {
  const maps = [new Uint8Array(9).fill(255), Uint8Array.from([0, 255, 254, 7, 7, 7, 36, 35, 1]), Uint8Array.from({ length: 4096 }, (_, at) => (at * at) % 256)];
  for (const map of maps) assert.deepEqual(decodeRuns(encodeRuns(map), map.length), map);
});

test("an even 512 px map takes a few bytes", () => {
  assert.ok(encodeRuns(new Uint8Array(512 * 512)).length < 20);
});

test("what is no map of that size is none", () => {
  for (const text of ["", "1:5", "1:9,2:9", "zz", "1:-3,1:c", "999:9", "1:0,1:9"]) assert.equal(decodeRuns(text, 9), null, text);
});

test("drafts are kept by project and picture, and dropped", () => {
  const store = storage();
  const data = Uint8Array.from([1, 2, 3, 4]);
  const one = new Drafts(store, "one");
  assert.equal(one.keep(7, 3, "guess", data), true);
  assert.deepEqual(one.find(7, 4), { base: 3, started: "guess", data });
  assert.equal(one.find(8, 4), null);
  assert.equal(new Drafts(store, "two").find(7, 4), null);
  assert.equal(one.find(7, 9), null); // of another size: not of this project
  one.drop(7);
  assert.equal(one.find(7, 4), null);
});

test("a browser without room or with nonsense in it does no harm", () => {
  assert.equal(new Drafts(storage(3), "x").keep(1, 0, "blank", new Uint8Array(4)), false);
  const store = storage();
  store.setItem("gannotate:x:1", "{");
  assert.equal(new Drafts(store, "x").find(1, 4), null);
});
