// Undo and redo.
import assert from "node:assert/strict";
import { test } from "node:test";
import { DEPTH, UndoStack, changedBox } from "../../src/gannotate/annotate/static/undo.js";

function random(seed) {
  let state = seed;
  return (below) => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return state % below;
  };
}

test("the box holds all changes and no more", () => {
  const before = new Uint8Array(20);
  const after = before.slice();
  after[1 * 5 + 2] = 1;
  after[3 * 5 + 4] = 1;
  assert.deepEqual(changedBox(before, after, 5), { left: 2, top: 1, width: 3, height: 3 });
  assert.equal(changedBox(before, before, 5), null);
});

test("any number of steps back and forth gives every map again", () => {
  const next = random(7);
  const stack = new UndoStack(16);
  const data = new Uint8Array(256).fill(255);
  const states = [data.slice()];
  for (let step = 0; step < 60; step += 1) {
    const before = data.slice();
    for (let pixel = 0; pixel < 1 + next(9); pixel += 1) data[next(256)] = next(4);
    if (stack.push(before, data)) states.push(data.slice());
  }
  for (let place = states.length - 2; place >= 0; place -= 1) {
    assert.ok(stack.undo(data));
    assert.deepEqual(data, states[place]);
  }
  assert.equal(stack.undo(data), null);
  for (let place = 1; place < states.length; place += 1) {
    assert.ok(stack.redo(data));
    assert.deepEqual(data, states[place]);
  }
  assert.equal(stack.redo(data), null);
});

test("a new step ends what could be redone; one without a change does not", () => {
  const stack = new UndoStack(2);
  const data = Uint8Array.from([0, 0]);
  data[0] = 1;
  stack.push(Uint8Array.from([0, 0]), data);
  stack.undo(data);
  assert.equal(stack.push(data, data), false);
  assert.equal(stack.undone.length, 1);
  data[1] = 1;
  stack.push(Uint8Array.from([0, 0]), data);
  assert.equal(stack.redo(data), null);
});

test("a hundred steps are kept", () => {
  const stack = new UndoStack(1);
  const data = Uint8Array.from([0]);
  for (let step = 0; step < 150; step += 1) {
    const before = data.slice();
    data[0] = step + 1;
    stack.push(before, data);
  }
  let undone = 0;
  while (stack.undo(data)) undone += 1;
  assert.equal(undone, DEPTH);
  assert.equal(data[0], 50);
});
