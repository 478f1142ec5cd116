// The panel of the model that learns along: how it is doing, its guess of the open picture, and what it is sure of.

import * as api from "./api.js";
import { countConfident, leastByte } from "./confident.js";
import { drawCurve } from "./curve.js";
import { byId } from "./panels.js";

const POLL_MS = 1000;

export class ModelPanel {
  /** page: {seed(), real(), generates, edit, board, told(iou), guessed(found)}. */
  constructor(page) {
    this.page = page;
    this.model = 0; // number of the fit whose guess is held
    this.guess = null;
    this.least = 85; // percent
    byId("sure").value = `${this.least}`;
    byId("sure").addEventListener("input", (event) => {
      this.least = Number(event.target.value);
      this.showSure();
    });
    byId("confident").addEventListener("click", () => this.takeConfident());
  }

  /** Asks how the model is doing, and when it is another one (or `force`) what it says of the open picture. */
  async refresh(force = false) {
    const state = await api.live();
    const real = this.page.real();
    const newest = real ? state.segmenter : state.model;
    byId("model").textContent = this.describe(state, real);
    byId("guess").disabled = byId("uncertain").disabled = newest === 0;
    drawCurve(byId("curve"), state.curve);
    this.page.told(state.by_class);
    if (newest === 0 || (!force && newest === this.model)) {
      this.showSure();
      return;
    }
    const asked = this.page.seed();
    const found = await api.guess(asked);
    if (asked !== this.page.seed() || !found) return;
    [this.model, this.guess] = [found.model, found];
    this.page.board.setUncertainty(found.uncertainty);
    this.page.guessed(found);
    this.showSure();
  }

  describe(state, real) {
    if (state.error) return state.error;
    if (!real || !this.page.generates) return state.text + (state.busy ? " Learning." : "");
    const who = state.segmenter ? "The newest segmenter guesses it." : "Once a segmenter is trained, that one guesses it.";
    return `A real picture, which the generator does not know. ${who}`;
  }

  /** Another picture is open: what is held says nothing of it. */
  forget() {
    [this.model, this.guess] = [0, null];
    this.showSure();
  }

  takeGuess() {
    if (this.guess) this.page.edit.fillFrom(this.guess.data);
  }

  takeConfident() {
    if (this.guess) this.page.edit.takeConfident(this.guess.data, this.guess.confidence, leastByte(this.least));
    this.showSure();
  }

  showSure() {
    const found = this.guess ? countConfident(this.page.edit.map, this.guess.confidence, leastByte(this.least)) : 0;
    byId("sure-shown").textContent = `${this.least}%: ${found} px`;
    byId("confident").disabled = found === 0;
  }

  /** Refreshes once a second while the page is seen. */
  async poll() {
    try {
      if (this.page.seed() !== null && !document.hidden) await this.refresh();
    } catch (error) {
      byId("model").textContent = error.message;
    }
    setTimeout(() => this.poll(), POLL_MS);
  }
}
