// What the page says of a job.
import assert from "node:assert/strict";
import { test } from "node:test";
import { describe } from "../../src/gannotate/annotate/static/work.js";

const job = (more) => ({
  kind: "dataset", status: "running", part: 1, parts: 2, title: "Fitting the decoder", done: 0, steps: 0, seconds: 65, eta_s: null, error: "", ...more,
});

test("a job that runs says what it does, how far it is and what is left", () => {
  assert.deepEqual(describe(job({})), { state: "Fitting the decoder (1 of 2).", left: "Starting." });
  assert.deepEqual(describe(job({ done: 40, steps: 200, eta_s: 61 })).left, "40 of 200, 1:01 left");
  assert.equal(describe(job({ done: 1, steps: 2 })).left, "1 of 2");
  assert.equal(describe(job({ status: "cancelling" })).state, "Ending.");
});

test("the state does not change while it only goes on: screen readers read it out", () => {
  const states = [1, 50, 199].map((done) => describe(job({ done, steps: 200, eta_s: 200 - done })).state);
  assert.equal(new Set(states).size, 1);
});

test("the end is told with its reason", () => {
  assert.equal(describe(job({ status: "done" })).state, "The dataset is ready, after 1:05.");
  assert.equal(describe(job({ kind: "segmenter", status: "failed", error: "no space" })).state, "The segmenter failed: no space");
  assert.equal(describe(job({ status: "cancelled" })).state, "Cancelled. The same button goes on with the dataset.");
});
