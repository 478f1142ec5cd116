// The message above the picture, with buttons that answer it, and the word at the top right.

import { byId, make } from "./panels.js";

const SAVED = {
  saved: "Saved", unsaved: "Not saved yet", saving: "Saving", guess: "A guess, not saved",
  offline: "Not saved, trying again", stale: "Not saved: changed elsewhere", trouble: "Label cannot be read",
};

let failing = false; // the message is an error, which the next success answers

/** A sentence with a capital letter; a file's name that it begins with stays as it is. */
export const begun = (text) => text.replace(/^[a-z]+(?=[ ,;:'])/, (word) => word[0].toUpperCase() + word.slice(1));

export function notice(text, buttons = {}) {
  failing = false;
  byId("notice").hidden = !text;
  byId("notice-text").textContent = begun(text);
  byId("notice-buttons").replaceChildren(
    ...Object.entries(buttons).map(([name, run]) => make("button", { click: run }, name)),
  );
}

/** Whether the open picture is saved; the states are those of saver.js, a guess, and a label that cannot be read. */
export function showState(state) {
  byId("saved").textContent = SAVED[state];
  byId("saved").dataset.state = state;
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
