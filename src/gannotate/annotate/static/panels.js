// The lists beside the picture: tools, the pool's strip, keys.

import { HINTS } from "./hints.js";
import { icon } from "./icons.js";
import { KEYS } from "./keys.js";

export const byId = (id) => document.getElementById(id);

/** An element with attributes and children; functions become event listeners. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

const TOOL_NAMES = {
  brush: "Brush", eraser: "Eraser", polygon: "Polygon", fill: "Fill", superpixel: "Superpixels", wand: "Wand", pick: "Pick class", pan: "Move",
};

export function showTools(into, act) {
  const keyOf = Object.fromEntries(KEYS.map(([key, action]) => [action, key]));
  const button = (action, name) =>
    make("button", { "data-action": action, "aria-label": name, title: `${name} (${keyOf[action].toUpperCase()})`, click: () => act(action) },
      icon(action), name, make("kbd", { "aria-hidden": "true" }, keyOf[action].toUpperCase()));
  into.replaceChildren(
    ...Object.entries(TOOL_NAMES).map(([action, name]) => button(action, name)),
    make("hr"),
    button("undo", "Undo"),
    button("redo", "Redo"),
  );
}

export function markTool(into, tool) {
  for (const button of into.querySelectorAll("button")) {
    const action = button.dataset.action;
    if (action in TOOL_NAMES) button.setAttribute("aria-pressed", `${action === tool}`);
  }
  byId("tool-title").textContent = TOOL_NAMES[tool];
  const [all, fine] = HINTS[tool];
  byId("hint").replaceChildren(make("span", {}, `${all} `, make("span", { class: "fine" }, fine)));
  const parts = [...document.querySelectorAll("[data-for]")];
  for (const part of parts) part.hidden = !part.dataset.for.split(" ").includes(tool);
  byId("tool-options").hidden = parts.every((part) => part.hidden);
}

export function showStrip(into, pictures, current, imageOf, open) {
  if (into.children.length !== pictures.length) {
    into.replaceChildren(...pictures.map((one) =>
      make("button", { role: "option", click: () => open(one.seed) },
        make("img", { src: imageOf(one.seed), alt: "", loading: "lazy" }), make("span"))));
  }
  pictures.forEach((one, index) => {
    const button = into.children[index];
    const done = one.labelled > 0 ? `${Math.round(100 * one.labelled)}%` : "";
    button.setAttribute("aria-selected", `${one.seed === current}`);
    button.setAttribute("aria-label", stripName(one, done));
    button.title = one.trouble ? `Picture ${one.name}: ${one.trouble}` : `Picture ${one.name}`;
    button.dataset.mark = one.mark || "";
    button.dataset.trouble = `${one.trouble !== ""}`;
    button.querySelector("span").textContent = one.trouble ? "!" : one.mark ? (one.mark === "skip" ? "skip" : "?") : done;
    if (one.seed === current) button.scrollIntoView({ block: "nearest", inline: "nearest" });
  });
}

/** What a screen reader says of a picture in the strip; done: how much of it is labelled. */
export function stripName({ name, mark, trouble }, done) {
  const labelled = trouble ? "its label cannot be read" : `${done || "nothing"} labelled`;
  return `Picture ${name}, ${labelled}${mark ? `, ${mark}` : ""}`;
}

export function showKeys(into) {
  const shown = (key) => key.replace(/^[a-z]|\+[a-z]/g, (letter) => letter.toUpperCase());
  into.replaceChildren(...KEYS.flatMap(([key, , text]) => [make("dt", {}, make("kbd", {}, shown(key))), make("dd", {}, text)]));
}
