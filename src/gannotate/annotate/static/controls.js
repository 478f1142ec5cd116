// Buttons, sliders and boxes of the page, and what they set.

import * as api from "./api.js";
import { byId, make } from "./panels.js";
import { IGNORE } from "./raster.js";

/** page: {act(action), edit, size, setSize(px), setLook(change), look, loadPatches(), failed(error)}. */
export function wireControls({ act, edit, size, setSize, setLook, look, loadPatches, failed }) {
  const click = (id, run) => byId(id).addEventListener("click", run);
  for (const id of ["previous", "next", "skip", "unsure", "help", "fit", "one", "guess"]) click(id, () => act(id));
  click("zoom-in", () => act("zoomIn"));
  click("zoom-out", () => act("zoomOut"));
  const first = { opacity: look.opacity, brightness: look.brightness, contrast: look.contrast };
  click("reset-look", () => {
    setLook(first);
    for (const [id, value] of Object.entries(first)) byId(id).value = `${id === "opacity" ? 100 * value : value}`;
  });
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
  const patch = byId("patch");
  patch.max = `${Math.max(2, Math.floor(Math.min(96, size / 4)))}`;
  const showPatch = () => {
    byId("patch-shown").textContent = `${patch.value} px`;
  };
  slide("patch", Math.max(3, Math.round(size / 12)), showPatch);
  patch.addEventListener("change", () => loadPatches().catch(failed));
  showPatch();
  wireExport(failed);
  byId("outline").addEventListener("change", (event) => setLook({ outline: event.target.checked }));
  byId("uncertain").addEventListener("change", (event) => setLook({ uncertain: event.target.checked }));
}

/** The list of formats, and the button that downloads one. */
async function wireExport(failed) {
  const formats = await api.exportFormats().catch(() => []);
  for (const id of ["format", "import-format"]) {
    byId(id).replaceChildren(...formats.map(({ name, about }) => make("option", { value: name, title: about }, name)));
  }
  byId("export-section").hidden = formats.length === 0;
  byId("export").addEventListener("click", () => download(byId("format").value).catch(failed));
}

async function download(format) {
  const { blob, name, told } = await api.exported(format);
  const link = make("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  byId("exported").textContent = told;
}
