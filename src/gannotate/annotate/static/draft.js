// Maps that are not saved yet, kept by the browser so that a reload, a crash or a server that is gone loses nothing.

/** Run lengths as text: "value:length,..."; label maps are a few runs a row. */
export function encodeRuns(data) {
  const runs = [];
  for (let at = 0; at < data.length; ) {
    let stop = at + 1;
    while (stop < data.length && data[stop] === data[at]) stop += 1;
    runs.push(`${data[at].toString(36)}:${(stop - at).toString(36)}`);
    at = stop;
  }
  return runs.join(",");
}

/** The map of `size` pixels, or null when the text is none of that size. */
export function decodeRuns(text, size) {
  const data = new Uint8Array(size);
  let at = 0;
  for (const run of text.split(",")) {
    const [value, length] = run.split(":").map((part) => Number.parseInt(part, 36));
    if (!(value >= 0 && value <= 255 && length > 0) || at + length > size) return null;
    data.fill(value, at, at + length);
    at += length;
  }
  return at === size ? data : null;
}

export class Drafts {
  /** storage: localStorage, or anything like it; name: tells projects apart. */
  constructor(storage, name) {
    this.storage = storage;
    this.name = name;
  }

  key(seed) {
    return `gannotate:${this.name}:${seed}`;
  }

  /** False when the browser keeps it not (no room, private window). */
  keep(seed, base, started, data) {
    try {
      this.storage.setItem(this.key(seed), JSON.stringify({ base, started, runs: encodeRuns(data) }));
      return true;
    } catch {
      return false;
    }
  }

  find(seed, size) {
    try {
      const kept = JSON.parse(this.storage.getItem(this.key(seed)));
      const data = kept && decodeRuns(kept.runs, size);
      return data ? { base: kept.base, started: kept.started, data } : null;
    } catch {
      return null;
    }
  }

  drop(seed) {
    try {
      this.storage.removeItem(this.key(seed));
    } catch {
      // a browser that keeps nothing has nothing to drop
    }
  }
}
