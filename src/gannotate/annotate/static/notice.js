// The message above the picture, with buttons that answer it.

import { byId, make } from "./panels.js";

let failing = false; // the message is an error, which the next success answers

export function notice(text, buttons = {}) {
  failing = false;
  byId("notice").hidden = !text;
  byId("notice-text").textContent = text;
  byId("notice-buttons").replaceChildren(
    ...Object.entries(buttons).map(([name, run]) => make("button", { click: run }, name)),
  );
}

/** An error, as a sentence. */
export function failed(error) {
  notice(error.message, { Dismiss: () => notice("") });
  failing = true;
}

/** Something worked: an error that stands there is answered by that. */
export function succeeded() {
  if (failing) notice("");
}
