// Saving by itself, with a server, a storage and a clock that the test holds in its hands.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Saver } from "../../src/gannotate/annotate/static/saver.js";

function setup(answers = []) {
  const log = { puts: [], states: [], drafts: new Map(), timers: [] };
  const saver = new Saver({
    put: async (seed, data, base, started) => {
      log.puts.push({ seed, data: [...data], base, started });
      const answer = answers.shift() ?? { ok: true, version: base + 1 };
      if (answer instanceof Error) throw answer;
      return typeof answer === "function" ? answer() : answer;
    },
    drafts: {
      keep: (seed, base, started, data) => log.drafts.set(seed, { base, data: [...data] }),
      drop: (seed) => log.drafts.delete(seed),
    },
    show: ({ state }) => log.states.push(state),
    later: (run, ms) => log.timers.push({ run, ms }) - 1,
    cancel: (handle) => (log.timers[handle] = null),
  });
  const tick = async () => {
    const due = log.timers.filter(Boolean);
    log.timers.length = 0;
    for (const timer of due) timer.run();
    await new Promise((resolve) => setImmediate(resolve));
  };
  const data = new Uint8Array(4);
  saver.open(3, data, 0, "blank");
  return { saver, log, tick, data };
}

test("strokes in a row are saved once, after a pause, and the draft is dropped", async () => {
  const { saver, log, tick, data } = setup();
  data[0] = 1;
  saver.touch();
  data[1] = 2;
  saver.touch();
  assert.deepEqual(log.drafts.get(3), { base: 0, data: [1, 2, 0, 0] }); // at once, before any answer
  await tick();
  assert.deepEqual(log.puts, [{ seed: 3, data: [1, 2, 0, 0], base: 0, started: "blank" }]);
  assert.equal(log.drafts.size, 0);
  assert.equal(log.states.at(-1), "saved");
  assert.equal(saver.picture.version, 1);
});

test("a stroke during a save is saved after it, from the new version", async () => {
  const { saver, log, tick, data } = setup([
    () => {
      data[1] = 9;
      saver.touch();
      return { ok: true, version: 1 };
    },
  ]);
  data[0] = 1;
  saver.touch();
  await tick();
  assert.equal(saver.unsaved, true);
  assert.deepEqual(log.drafts.get(3), { base: 1, data: [1, 9, 0, 0] });
  await tick();
  assert.deepEqual(log.puts.map((put) => [put.base, put.data[1]]), [[0, 0], [1, 9]]);
  assert.equal(saver.unsaved, false);
});

test("a server that is away is asked again until it answers", async () => {
  const { saver, log, tick, data } = setup([new Error("gone"), new Error("gone")]);
  data[0] = 1;
  saver.touch();
  await tick();
  assert.equal(log.states.at(-1), "offline");
  assert.equal(log.drafts.size, 1);
  await tick();
  await tick();
  assert.equal(log.puts.length, 3);
  assert.equal(log.states.at(-1), "saved");
  assert.equal(log.drafts.size, 0);
});

test("a refused save is not tried again, and the draft stays", async () => {
  const { saver, log, tick, data } = setup([{ stale: true, version: 5, detail: "changed elsewhere" }]);
  data[0] = 1;
  saver.touch();
  await tick();
  assert.equal(log.states.at(-1), "stale");
  assert.equal(await saver.flush(), false);
  saver.touch();
  await tick();
  assert.equal(log.puts.length, 1);
  assert.equal(log.drafts.size, 1);
});

test("flush saves at once, and says whether all is saved", async () => {
  const { saver, log, data } = setup([{ ok: true, version: 1 }, new Error("gone")]);
  assert.equal(await saver.flush(), true);
  assert.equal(log.puts.length, 0);
  data[0] = 1;
  saver.touch();
  assert.equal(await saver.flush(), true);
  data[0] = 2;
  saver.touch();
  assert.equal(await saver.flush(), false);
});

test("two flushes at once do not save twice", async () => {
  const { saver, log, data } = setup();
  data[0] = 1;
  saver.touch();
  await Promise.all([saver.flush(), saver.flush()]);
  assert.equal(log.puts.length, 1);
});
