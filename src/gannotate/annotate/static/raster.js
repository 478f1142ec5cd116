// Drawing class ids into a label map. No colours, no blending: a pixel has one class or none (IGNORE).
// A map is {width, height, data: Uint8Array}. `locked` is a Set of class ids whose pixels are not changed.

export const IGNORE = 255;

export function makeMap(width, height, fill = IGNORE) {
  return { width, height, data: new Uint8Array(width * height).fill(fill) };
}

/** Calls `visit(x0, x1, y)` for each row of the disc of `diameter` pixels around (cx, cy); x1 is one past the last. */
export function discRows(cx, cy, diameter, visit) {
  const radius = diameter / 2;
  for (let y = Math.ceil(cy - radius - 0.5); y <= Math.floor(cy + radius - 0.5); y += 1) {
    const above = y + 0.5 - cy;
    const half = Math.sqrt(Math.max(0, radius * radius - above * above));
    const x0 = Math.ceil(cx - half - 0.5);
    const x1 = Math.floor(cx + half - 0.5) + 1;
    if (x1 > x0) visit(x0, x1, y);
  }
}

/** Sets pixels x0..x1 of a row that are inside the map and not locked; returns how many changed. */
export function paintRow(map, x0, x1, y, value, locked) {
  if (y < 0 || y >= map.height) return 0;
  const start = y * map.width + Math.max(0, x0);
  const stop = y * map.width + Math.min(map.width, x1);
  let changed = 0;
  for (let at = start; at < stop; at += 1) {
    if (map.data[at] !== value && !locked.has(map.data[at])) {
      map.data[at] = value;
      changed += 1;
    }
  }
  return changed;
}

/** A brush of `diameter` pixels at one point; a diameter of 1 paints the pixel that the point is in. */
export function paintDisc(map, cx, cy, diameter, value, locked = new Set()) {
  if (diameter <= 1) return paintRow(map, Math.floor(cx), Math.floor(cx) + 1, Math.floor(cy), value, locked);
  let changed = 0;
  discRows(cx, cy, diameter, (x0, x1, y) => {
    changed += paintRow(map, x0, x1, y, value, locked);
  });
  return changed;
}

/** A brush drawn along a line: discs half a pixel apart, so that no gap is left at any speed. */
export function paintLine(map, from, to, diameter, value, locked = new Set()) {
  const length = Math.hypot(to.x - from.x, to.y - from.y);
  const steps = Math.max(1, Math.ceil(length * 2));
  let changed = 0;
  for (let step = 0; step <= steps; step += 1) {
    const part = step / steps;
    const x = from.x + part * (to.x - from.x);
    const y = from.y + part * (to.y - from.y);
    changed += paintDisc(map, x, y, diameter, value, locked);
  }
  return changed;
}

/** Pixels whose middle lies inside the polygon (even-odd rule); points are {x, y} in pixels. */
export function paintPolygon(map, points, value, locked = new Set()) {
  if (points.length < 3) return 0;
  let changed = 0;
  const top = Math.max(0, Math.floor(Math.min(...points.map((point) => point.y))));
  const bottom = Math.min(map.height - 1, Math.ceil(Math.max(...points.map((point) => point.y))));
  for (let y = top; y <= bottom; y += 1) {
    const crossings = crossingsAt(points, y + 0.5);
    for (let pair = 0; pair + 1 < crossings.length; pair += 2) {
      const x0 = Math.ceil(crossings[pair] - 0.5);
      const x1 = Math.ceil(crossings[pair + 1] - 0.5);
      changed += paintRow(map, x0, x1, y, value, locked);
    }
  }
  return changed;
}

function crossingsAt(points, level) {
  const found = [];
  for (let index = 0; index < points.length; index += 1) {
    const a = points[index];
    const b = points[(index + 1) % points.length];
    if (a.y <= level !== b.y <= level) found.push(a.x + ((level - a.y) / (b.y - a.y)) * (b.x - a.x));
  }
  return found.sort((left, right) => left - right);
}

/** Pixels that hang together with (x, y) by their sides and satisfy `same(index)`: Uint8Array, 1 inside. */
export function region(width, height, x, y, same) {
  const inside = new Uint8Array(width * height);
  const begin = y * width + x;
  if (x < 0 || y < 0 || x >= width || y >= height || !same(begin)) return inside;
  const waiting = [begin];
  inside[begin] = 1;
  const take = (at) => {
    if (!inside[at] && same(at)) {
      inside[at] = 1;
      waiting.push(at);
    }
  };
  while (waiting.length) {
    const at = waiting.pop();
    const column = at % width;
    if (column > 0) take(at - 1);
    if (column < width - 1) take(at + 1);
    if (at >= width) take(at - width);
    if (at < width * (height - 1)) take(at + width);
  }
  return inside;
}

/** Fills the region of one class around a pixel; returns how many pixels changed. */
export function fill(map, x, y, value, locked = new Set()) {
  const class_ = map.data[y * map.width + x];
  if (class_ === value || locked.has(class_)) return 0;
  return paintSelection(map, region(map.width, map.height, x, y, (at) => map.data[at] === class_), value, locked);
}

/** Gives every selected pixel (1 in `selection`) a class; returns how many changed. */
export function paintSelection(map, selection, value, locked = new Set()) {
  let changed = 0;
  for (let at = 0; at < selection.length; at += 1) {
    if (selection[at] && map.data[at] !== value && !locked.has(map.data[at])) {
      map.data[at] = value;
      changed += 1;
    }
  }
  return changed;
}

/** What the wand selects: pixels at least as alike as `threshold` (0-255), all or those that hang together. */
export function select(alike, width, height, threshold, x, y, connected) {
  if (connected) return region(width, height, x, y, (at) => alike[at] >= threshold);
  return Uint8Array.from(alike, (value) => (value >= threshold ? 1 : 0));
}

/** Pixels of a map that have another class than the pixel right of or below them, or the other way round. */
export function isBorder(map, at) {
  const { width, data } = map;
  const column = at % width;
  const own = data[at];
  return (
    (column > 0 && data[at - 1] !== own) ||
    (column < width - 1 && data[at + 1] !== own) ||
    (at >= width && data[at - width] !== own) ||
    (at < data.length - width && data[at + width] !== own)
  );
}
