// The dialog that takes labels of other tools in, one file after the other.

import * as api from "./api.js";
import { byId } from "./panels.js";

const MOST_BYTES = 2 ** 26; // see routes/importing.py

/** The pairs of "hat=hair, 64=ignore". */
export function pairs(text) {
  return text.split(",").map((pair) => pair.trim()).filter(Boolean);
}

/** What came in with some files, in words. */
export function inWords(results) {
  const sum = (name) => results.reduce((total, one) => total + one[name], 0);
  const many = (count, what) => `${count} ${what}${count === 1 ? "" : "s"}`;
  const parts = [`${many(sum("imported"), "picture")} labelled`];
  if (sum("pictures")) parts.push(`${sum("pictures")} of them new in the pool`);
  if (sum("unchanged")) parts.push(`${sum("unchanged")} had these labels already`);
  const notes = results.flatMap((one) => one.notes).map((note) => ` ${note[0].toUpperCase()}${note.slice(1)}.`);
  return `${parts.join(", ")}.${notes.join("")}`;
}

export class ImportDialog {
  /** page: {flush() -> true when all is saved, imported()}. */
  constructor(page) {
    this.page = page;
    byId("open-import").addEventListener("click", () => {
      this.tell("");
      byId("import").showModal();
    });
    byId("import-close").addEventListener("click", () => byId("import").close());
    byId("import-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.run([...byId("import-files").files]);
    });
  }

  tell(text, failed = false) {
    byId("import-state").textContent = text;
    byId("import-state").dataset.state = failed ? "failed" : "";
  }

  async run(files) {
    const how = {
      format: byId("import-format").value,
      map: pairs(byId("import-map").value),
      replace: byId("import-replace").checked,
      crop: byId("import-crop").checked,
      blended: byId("import-blended").value,
    };
    byId("import-run").disabled = true;
    const results = [];
    try {
      if (!(await this.page.flush())) throw new Error("the open picture is not saved; see the message above it");
      for (const file of files) {
        this.tell(files.length > 1 ? `${file.name}, ${results.length + 1} of ${files.length}` : `${file.name} is looked at`);
        if (file.size > MOST_BYTES) throw new Error(`${file.name} has more than ${MOST_BYTES / 2 ** 20} MB; gannotate data import takes it`);
        results.push(await api.importLabels(file, how));
      }
      this.tell(inWords(results));
    } catch (error) {
      this.tell(results.length ? `${inWords(results)} Then: ${error.message}` : error.message, true);
    }
    byId("import-run").disabled = false;
    if (results.length) await this.page.imported();
  }
}
