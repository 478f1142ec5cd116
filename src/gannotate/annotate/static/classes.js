// The list of classes: choosing, locking, renaming, recolouring, adding.

import * as api from "./api.js";
import { icon } from "./icons.js";
import { colourOf, freshColour, hexOf } from "./paint.js";
import { byId, make } from "./panels.js";

export class ClassList {
  /**
   * given: {version, classes: [{name, colour}]}, as the server has them.
   * page: {value(), locked(), choose(id), lock(id), changed(colours), done(), failed(error)}.
   */
  constructor(given, page) {
    this.version = given.version;
    this.items = given.classes;
    this.page = page;
    this.iou = []; // of each class on pictures left out, null where none shows it
  }

  /** What the model makes of each class. */
  setIou(iou) {
    if (JSON.stringify(iou) === JSON.stringify(this.iou)) return;
    this.iou = iou;
    byId("classes-note").hidden = !iou.some((value) => value !== null);
    for (const [id, row] of [...byId("classes").children].entries()) {
      const shown = row.querySelector(".iou"); // not there while the class is being renamed
      if (shown) shown.textContent = percent(iou[id]);
    }
  }

  colour(id) {
    return id < this.items.length ? this.items[id].colour : [255, 255, 255];
  }

  show() {
    this.page.changed(this.items.map((item) => item.colour));
    showClasses(byId("classes"), this.items, this.iou, this.page.value(), this.page.locked(), {
      choose: this.page.choose,
      lock: this.page.lock,
      rename: (id, name) => this.change(id, { name }),
      recolour: (id, colour) => this.change(id, { colour }),
    });
  }

  /** Changes a class, or adds one behind the last; a refused change shows the server's list again. */
  async change(id, change) {
    const classes = this.items.map((item, index) => (index === id ? { ...item, ...change } : item));
    if (id === classes.length) classes.push(change);
    try {
      this.take(await api.changeClasses({ version: this.version, classes }));
      this.page.done();
    } catch (error) {
      this.page.failed(error);
      this.take((await api.project()).classes);
    }
  }

  take(given) {
    this.version = given.version;
    this.items = given.classes;
    this.show();
  }

  /** A new class, chosen at once and ready to be named. */
  async add() {
    const id = this.items.length;
    const taken = new Set(this.items.map((item) => item.name));
    let number = id;
    while (taken.has(`class ${number}`)) number += 1;
    const name = `class ${number}`;
    await this.change(id, { name, colour: freshColour(id) });
    if (this.items.length <= id) return;
    this.page.choose(id);
    byId("classes").querySelector(`[aria-label="Rename ${name}"]`).click();
  }
}

const percent = (part) => (part === null || part === undefined ? "" : `${Math.round(100 * part)}%`);

/** events: {choose(id), lock(id), rename(id, name), recolour(id, colour)}. */
function showClasses(into, classes, iou, chosen, locked, events) {
  into.replaceChildren(...classes.map((item, id) => {
    const row = make("li", { "data-chosen": `${id === chosen}` });
    const choose = make("button", {
      class: "choose", "aria-label": `Choose class ${id}: ${item.name}`,
      "aria-current": id === chosen ? "true" : null, click: () => events.choose(id),
    },
    make("kbd", { "aria-hidden": "true" }, `${id}`), make("span", { title: item.name }, item.name),
    make("span", { class: "iou", title: "IoU on pictures left out" }, percent(iou[id])));
    const rename = make("button", {
      class: "small", "aria-label": `Rename ${item.name}`, title: "Rename", click: () => edit(row, choose, item, (name) => events.rename(id, name)),
    }, icon("rename"));
    row.append(
      make("input", {
        type: "color", value: hexOf(item.colour), "aria-label": `Colour of ${item.name}`,
        change: (event) => events.recolour(id, colourOf(event.target.value)),
      }),
      choose,
      rename,
      make("button", {
        class: "small", "aria-pressed": `${locked.has(id)}`, "aria-label": `Lock ${item.name}`,
        title: "Locked pixels are not painted over (L)", click: () => events.lock(id),
      }, icon(locked.has(id) ? "locked" : "unlocked")),
    );
    return row;
  }));
}

function edit(row, choose, item, done) {
  const input = make("input", { type: "text", value: item.name, maxlength: "80", "aria-label": `New name of ${item.name}` });
  let over = false;
  const end = (keep) => {
    if (over) return;
    over = true;
    input.replaceWith(choose);
    const name = input.value.trim();
    if (keep && name && name !== item.name) done(name);
  };
  input.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Enter") end(true);
    if (event.key === "Escape") end(false);
  });
  input.addEventListener("blur", () => end(true));
  choose.replaceWith(input);
  input.focus();
  input.select();
}
