// The panel of long work: writing a dataset, training a segmenter, and what that says of the open picture.

import * as api from "./api.js";
import { clock } from "./clock.js";
import { byId } from "./panels.js";

const POLL_MS = 700;
const IDLE_MS = 4000;

const NAMES = { dataset: "The dataset", segmenter: "The segmenter" };

/** What the page says of a job: {state, left}; `state` changes seldom, so that screen readers may read it out. */
export function describe(job) {
  const name = NAMES[job.kind];
  if (job.status === "done") return { state: `${name} is ready, after ${clock(job.seconds)}.`, left: "" };
  if (job.status === "failed") return { state: `${name} failed: ${job.error}`, left: "" };
  if (job.status === "cancelled") return { state: `Cancelled. The same button goes on with ${name.toLowerCase()}.`, left: "" };
  const part = job.parts > 1 ? ` (${job.part} of ${job.parts})` : "";
  const state = job.status === "cancelling" ? "Ending." : `${job.title}${part}.`;
  if (!job.steps) return { state, left: "Starting." };
  const eta = job.eta_s === null ? "" : `, ${clock(job.eta_s)} left`;
  return { state, left: `${job.done} of ${job.steps}${eta}` };
}

export class WorkPanel {
  /** page: {seed(), generates, board, failed(error), setLook(change), see()}. */
  constructor(page) {
    this.page = page;
    byId("dataset-form").hidden = !page.generates;
    if (!page.generates) byId("learn-from").value = "labels";
    byId("learn-from").disabled = !page.generates;
    byId("learn-from").addEventListener("change", () => this.refresh().catch(page.failed));
    this.segmenter = null;
    const order = (form, run) =>
      byId(form).addEventListener("submit", (event) => {
        event.preventDefault();
        run().then(() => this.refresh()).catch(page.failed);
      });
    order("dataset-form", () => api.writeDataset({ count: Number(byId("count").value), decoder: byId("decoder").value }));
    order("segmenter-form", () => api.trainSegmenter({ source: byId("learn-from").value, steps: Number(byId("steps").value), architecture: byId("architecture").value }));
    byId("cancel-job").addEventListener("click", () => api.cancelWork().then(() => this.refresh()).catch(page.failed));
    byId("predicted").addEventListener("change", (event) => this.showPrediction(event.target.checked));
    byId("see").addEventListener("click", page.see);
    document.addEventListener("visibilitychange", () => document.hidden || this.refresh().catch(() => {}));
  }

  async refresh() {
    const { job, dataset, segmenter } = await api.work();
    const made = [dataset && `dataset ${dataset}`, segmenter && `segmenter ${segmenter}`].filter(Boolean);
    byId("made").textContent = made.length ? `Made so far: ${made.join(", ")}.` : "Nothing made yet.";
    const runs = job !== null && (job.status === "running" || job.status === "cancelling");
    byId("write-dataset").disabled = runs;
    const fromLabels = byId("learn-from").value === "labels";
    byId("train").disabled = runs || (dataset === null && !fromLabels);
    byId("train").title = dataset === null && !fromLabels ? "Write a dataset first, or learn from labelled pictures" : "Train a segmentation network";
    byId("predicted").disabled = byId("see").disabled = segmenter === null;
    if (segmenter !== this.segmenter) {
      this.segmenter = segmenter;
      if (byId("predicted").checked) await this.showPrediction(true);
    }
    byId("job").hidden = job === null;
    if (job === null) return false;
    const told = describe(job);
    if (byId("job-state").textContent !== told.state) byId("job-state").textContent = told.state;
    byId("job-left").textContent = told.left;
    byId("job-bar").hidden = byId("cancel-job").hidden = !runs;
    byId("cancel-job").disabled = job.status === "cancelling";
    if (job.steps) byId("job-bar").value = job.done / job.steps;
    else byId("job-bar").removeAttribute("value");
    return runs;
  }

  /** Shows what the segmenter says of the open picture in place of its labels, or the labels again. */
  async showPrediction(shown) {
    const { board, seed } = this.page;
    byId("predicted").checked = shown;
    if (shown && this.segmenter) {
      const asked = seed();
      try {
        const found = await api.prediction(asked);
        if (asked === seed()) board.setPrediction(found);
      } catch (error) {
        this.page.failed(error);
        shown = false;
      }
    }
    this.page.setLook({ predicted: shown });
  }

  /** Asks often while something runs, else now and then: another page may have begun something. */
  async poll() {
    let runs = false;
    try {
      if (!document.hidden) runs = await this.refresh();
    } catch {
      // the model's panel says that the server is away
    }
    setTimeout(() => this.poll(), runs ? POLL_MS : IDLE_MS);
  }
}
