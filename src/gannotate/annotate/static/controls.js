// Buttons, sliders and boxes of the page, and what they set.

import { byId } from "./panels.js";
import { IGNORE } from "./raster.js";

/** page: {act(action), edit, setSize(px), setLook(change), look}. */
export function wireControls({ act, edit, setSize, setLook, look }) {
  const click = (id, run) => byId(id).addEventListener("click", run);
  for (const id of ["previous", "next", "skip", "unsure", "help", "fit", "one", "guess"]) click(id, () => act(id));
  click("zoom-in", () => act("zoomIn"));
  click("zoom-out", () => act("zoomOut"));
  click("apply", () => edit.labelSelection());
  click("clear", () => edit.step((map) => map.data.fill(IGNORE)));
  const slide = (id, value, run) => {
    byId(id).value = `${value}`;
    byId(id).addEventListener("input", () => run(Number(byId(id).value)));
  };
  slide("size", edit.size, setSize);
  slide("opacity", 100 * look.opacity, (value) => setLook({ opacity: value / 100 }));
  slide("brightness", look.brightness, (value) => setLook({ brightness: value }));
  slide("contrast", look.contrast, (value) => setLook({ contrast: value }));
  const showThreshold = () => {
    byId("threshold-shown").textContent = `${Math.round(edit.threshold / 2.55)}%`;
  };
  slide("threshold", edit.threshold, (value) => {
    edit.threshold = value;
    showThreshold();
    edit.reselect();
  });
  showThreshold();
  byId("connected").addEventListener("change", (event) => {
    edit.connected = event.target.checked;
    edit.reselect();
  });
  byId("outline").addEventListener("change", (event) => setLook({ outline: event.target.checked }));
  byId("uncertain").addEventListener("change", (event) => setLook({ uncertain: event.target.checked }));
}
