// The list of classes: choosing, locking, renaming, recolouring, adding.

import * as api from "./api.js";
import { colourOf, freshColour, hexOf } from "./paint.js";
import { byId, make } from "./panels.js";

export class ClassList {
  /**
   * given: {version, classes: [{name, colour}]}, as the server has them.
   * page: {value(), locked(), choose(id), lock(id), changed(colours), failed(error)}.
   */
  constructor(given, page) {
    this.version = given.version;
    this.items = given.classes;
    this.page = page;
  }

  colour(id) {
    return id < this.items.length ? this.items[id].colour : [255, 255, 255];
  }

  show() {
    this.page.changed(this.items.map((item) => item.colour));
    showClasses(byId("classes"), this.items, this.page.value(), this.page.locked(), {
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

/** events: {choose(id), lock(id), rename(id, name), recolour(id, colour)}. */
function showClasses(into, classes, chosen, locked, events) {
  into.replaceChildren(...classes.map((item, id) => {
    const row = make("li", { "data-chosen": `${id === chosen}` });
    const choose = make("button", {
      class: "choose", "aria-label": `Choose class ${id}: ${item.name}`,
      "aria-current": id === chosen ? "true" : null, click: () => events.choose(id),
    }, item.name, make("kbd", { "aria-hidden": "true" }, `${id}`));
    const rename = make("button", {
      class: "small", "aria-label": `Rename ${item.name}`, title: "Rename", click: () => edit(row, choose, item, (name) => events.rename(id, name)),
    }, "\u270e");
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
      }, locked.has(id) ? "locked" : "lock"),
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
