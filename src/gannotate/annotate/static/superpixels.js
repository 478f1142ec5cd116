// Superpixels of one picture: which one a pixel is in, and which pixels one has.

export class Patches {
  /** values: the superpixel of every pixel, numbered from 0, row by row. */
  constructor(values, width) {
    this.values = values;
    this.width = width;
    let count = 0;
    for (const value of values) if (value >= count) count = value + 1;
    this.starts = new Uint32Array(count + 1);
    for (const value of values) this.starts[value + 1] += 1;
    for (let id = 0; id < count; id += 1) this.starts[id + 1] += this.starts[id];
    const next = this.starts.slice();
    this.pixels = new Uint32Array(values.length);
    for (let at = 0; at < values.length; at += 1) {
      this.pixels[next[values[at]]] = at;
      next[values[at]] += 1;
    }
  }

  /** Indices of the pixels of superpixel `id`, ascending. */
  of(id) {
    return this.pixels.subarray(this.starts[id], this.starts[id + 1]);
  }

  /** The superpixels that the straight line between two points passes. */
  along(from, to) {
    const steps = Math.max(1, Math.ceil(2 * Math.hypot(to.x - from.x, to.y - from.y)));
    const height = this.values.length / this.width;
    const found = new Set();
    for (let step = 0; step <= steps; step += 1) {
      const x = Math.floor(from.x + (step / steps) * (to.x - from.x));
      const y = Math.floor(from.y + (step / steps) * (to.y - from.y));
      if (x >= 0 && y >= 0 && x < this.width && y < height) found.add(this.values[y * this.width + x]);
    }
    return found;
  }
}

/** Gives the pixels of superpixel `id` a class; {changed, top, bottom}: how many, and the rows that it lies in. */
export function paintPatch(map, patches, id, value, locked = new Set()) {
  const pixels = patches.of(id);
  let changed = 0;
  for (const at of pixels) {
    if (map.data[at] !== value && !locked.has(map.data[at])) {
      map.data[at] = value;
      changed += 1;
    }
  }
  const row = (at) => Math.floor(at / map.width);
  return { changed, top: row(pixels[0]), bottom: row(pixels[pixels.length - 1]) + 1 };
}
