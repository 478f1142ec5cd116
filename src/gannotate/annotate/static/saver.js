// Saving by itself: a moment after the last stroke, again and again while the server is away, and never over a change
// that somebody else made.

export const PAUSE_MS = 700;
export const RETRY_MS = 3000;

export class Saver {
  /**
   * put(seed, data, base, started) -> {ok, version} | {stale, version, recovery, detail} | throws when nobody answers.
   * drafts: see draft.js; show({state, detail}): states are saved, unsaved, saving, offline, stale.
   * later(run, ms) -> handle, cancel(handle): a clock, given here so that tests can hold it. They are called as methods
   * of this object, which the browser's own setTimeout does not bear: wrap it.
   */
  constructor({ put, drafts, show, later, cancel }) {
    Object.assign(this, { put, drafts, show, later, cancel });
    this.picture = null;
    this.timer = null;
    this.running = null;
  }

  /** Another picture is being labelled; `version` is what its map was read as. */
  open(seed, data, version, started) {
    this.picture = { seed, data, version, started, changed: 0, saved: 0, stale: false };
    this.show({ state: "saved", detail: "" });
  }

  get unsaved() {
    return this.picture !== null && this.picture.changed !== this.picture.saved;
  }

  /** Something was drawn: keep it here at once, on the server a moment later. */
  touch() {
    const picture = this.picture;
    picture.changed += 1;
    this.drafts.keep(picture.seed, picture.version, picture.started, picture.data);
    if (picture.stale) return;
    this.show({ state: "unsaved", detail: "" });
    this.schedule(PAUSE_MS);
  }

  schedule(ms) {
    if (this.timer !== null) this.cancel(this.timer);
    this.timer = this.later(() => {
      this.timer = null;
      this.flush();
    }, ms);
  }

  /** Saves now what is not saved; true when everything is. One save runs at a time. */
  async flush() {
    while (this.running) await this.running;
    if (!this.unsaved) return true;
    if (this.picture.stale) return false;
    this.running = this.save(this.picture);
    try {
      await this.running;
    } finally {
      this.running = null;
    }
    return !this.unsaved;
  }

  async save(picture) {
    const sent = picture.changed;
    const base = picture.version;
    this.show({ state: "saving", detail: "" });
    let answer;
    try {
      answer = await this.put(picture.seed, picture.data.slice(), base, picture.started);
    } catch (error) {
      this.show({ state: "offline", detail: `${error.message || error}` });
      this.schedule(RETRY_MS);
      return;
    }
    if (answer.stale) {
      picture.stale = true;
      this.show({ state: "stale", detail: answer.detail });
      return;
    }
    picture.version = answer.version;
    picture.saved = sent;
    if (picture.changed === sent) {
      this.drafts.drop(picture.seed);
      if (this.picture === picture) this.show({ state: "saved", detail: "" });
    } else {
      this.drafts.keep(picture.seed, picture.version, picture.started, picture.data);
      this.schedule(PAUSE_MS);
    }
  }
}
