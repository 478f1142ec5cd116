// What the segmenter says of many pictures: those of the pool, or some of the person's own disk.

import * as api from "./api.js";
import { clock, left } from "./clock.js";
import { paintOverlay } from "./paint.js";
import { byId, make } from "./panels.js";

const LARGEST_PX = 1024;
const SHOWN = { opacity: 0.6, outline: false, hidden: false };

export class Gallery {
  /** page: {colours(), pictures() -> [{seed, name}], failed(error)}. */
  constructor(page) {
    this.page = page;
    this.running = null; // an AbortController
    byId("gallery-pool").addEventListener("click", () => this.showPool());
    byId("gallery-files").addEventListener("change", (event) => this.showFiles([...event.target.files]));
    byId("gallery-cancel").addEventListener("click", () => this.cancel());
    byId("gallery").addEventListener("close", () => this.cancel());
  }

  open() {
    byId("gallery").showModal();
    return this.showPool();
  }

  cancel() {
    if (this.running) this.running.abort();
  }

  showPool() {
    return this.show(this.page.pictures().map(({ seed, name }) => async (signal) => {
      const image = await createImageBitmap(await (await fetch(api.imageOf(seed), { signal })).blob());
      const data = await api.prediction(seed, signal);
      return { name: `Picture ${name}`, image, labels: { width: image.width, height: image.height, data } };
    }));
  }

  showFiles(files) {
    return this.show(files.map((file) => async (signal) => {
      const image = await shrunk(file);
      const blob = await new Promise((done) => image.toBlob(done, "image/png"));
      return { name: file.name, image, labels: await api.predictionOf(blob, signal) };
    }));
  }

  /** Runs one function a picture, one after the other, with progress; those that fail are named and counted. */
  async show(tasks) {
    this.cancel();
    const running = new AbortController();
    this.running = running;
    const list = byId("gallery-list");
    list.replaceChildren();
    byId("gallery-cancel").disabled = false;
    const begin = performance.now();
    let done = 0;
    let failures = 0;
    for (const task of tasks) {
      tell(done, tasks.length, (performance.now() - begin) / 1000);
      try {
        const found = await task(running.signal);
        if (running.signal.aborted) break;
        list.append(figure(found, this.page.colours()));
      } catch (error) {
        if (running.signal.aborted) break;
        failures += 1;
        list.append(make("p", { role: "alert" }, error.message));
      }
      done += 1;
    }
    if (this.running !== running) return; // something newer is shown already
    this.running = null;
    byId("gallery-cancel").disabled = true;
    byId("gallery-bar").value = tasks.length ? done / tasks.length : 0;
    const cancelled = done < tasks.length ? ", cancelled" : "";
    byId("gallery-state").textContent = `${done - failures} of ${tasks.length} pictures${cancelled}`;
  }
}

function tell(done, steps, seconds) {
  const eta = left(done, steps, seconds);
  byId("gallery-bar").value = done / steps;
  byId("gallery-state").textContent = `${done} of ${steps}${eta === null ? "" : `, ${clock(eta)} left`}`;
}

/** A picture file as a canvas of at most LARGEST_PX a side: what is sent, and what is shown. */
async function shrunk(file) {
  const image = await createImageBitmap(file).catch(() => {
    throw new Error(`${file.name} is no picture that this browser can show; gannotate predict reads more kinds`);
  });
  const part = Math.min(1, LARGEST_PX / Math.max(image.width, image.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(image.width * part));
  canvas.height = Math.max(1, Math.round(image.height * part));
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas;
}

function figure({ name, image, labels }, colours) {
  const layer = document.createElement("canvas");
  [layer.width, layer.height] = [labels.width, labels.height];
  const context = layer.getContext("2d");
  const pixels = context.createImageData(labels.width, labels.height);
  paintOverlay(pixels.data, labels, colours, SHOWN);
  context.putImageData(pixels, 0, 0);
  const canvas = make("canvas", { role: "img", "aria-label": `${name} with the segmenter's classes` });
  [canvas.width, canvas.height] = [labels.width, labels.height];
  canvas.getContext("2d").drawImage(image, 0, 0, labels.width, labels.height);
  canvas.getContext("2d").drawImage(layer, 0, 0);
  return make("figure", {}, canvas, make("figcaption", {}, name));
}
