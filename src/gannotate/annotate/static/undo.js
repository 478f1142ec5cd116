// Undo and redo by the stroke: each step keeps the changed pixels' rectangle, before and after.

export const DEPTH = 100;

/** The smallest rectangle that holds all differences of two maps; null when there are none. */
export function changedBox(before, after, width) {
  let left = width;
  let right = -1;
  let top = -1;
  let bottom = -1;
  for (let at = 0; at < before.length; at += 1) {
    if (before[at] !== after[at]) {
      const x = at % width;
      const y = (at - x) / width;
      if (top < 0) top = y;
      bottom = y;
      if (x < left) left = x;
      if (x > right) right = x;
    }
  }
  return top < 0 ? null : { left, top, width: right - left + 1, height: bottom - top + 1 };
}

function cut(data, width, box) {
  const out = new Uint8Array(box.width * box.height);
  for (let row = 0; row < box.height; row += 1) {
    const start = (box.top + row) * width + box.left;
    out.set(data.subarray(start, start + box.width), row * box.width);
  }
  return out;
}

function paste(data, width, box, part) {
  for (let row = 0; row < box.height; row += 1) {
    data.set(part.subarray(row * box.width, (row + 1) * box.width), (box.top + row) * width + box.left);
  }
}

export class UndoStack {
  constructor(width, depth = DEPTH) {
    this.width = width;
    this.depth = depth;
    this.done = [];
    this.undone = [];
  }

  get canUndo() {
    return this.done.length > 0;
  }

  get canRedo() {
    return this.undone.length > 0;
  }

  /** Notes a step; false when nothing changed. A new step ends what could be redone. */
  push(before, after) {
    const box = changedBox(before, after, this.width);
    if (!box) return false;
    this.done.push({ box, before: cut(before, this.width, box), after: cut(after, this.width, box) });
    if (this.done.length > this.depth) this.done.shift();
    this.undone = [];
    return true;
  }

  /** Takes the last step back in `data`; its box, or null when there is none. */
  undo(data) {
    const step = this.done.pop();
    if (!step) return null;
    paste(data, this.width, step.box, step.before);
    this.undone.push(step);
    return step.box;
  }

  /** Does the last step that was taken back again. */
  redo(data) {
    const step = this.undone.pop();
    if (!step) return null;
    paste(data, this.width, step.box, step.after);
    this.done.push(step);
    return step.box;
  }
}
