// Which key does what: the list that is shown, and the lookup that is used, from one table.

export const KEYS = [
  ["b", "brush", "Brush"],
  ["e", "eraser", "Eraser: pixels lose their class"],
  ["p", "polygon", "Polygon"],
  ["f", "fill", "Fill a region of one class"],
  ["s", "superpixel", "Superpixels: click or drag adds them, with Alt takes them away"],
  ["w", "wand", "Similarity wand"],
  ["i", "pick", "Pick the class under the cursor"],
  ["v", "pan", "Move the picture"],
  ["[", "smaller", "Smaller brush (also the wheel)"],
  ["]", "larger", "Larger brush"],
  ["0-9", "", "Choose a class; with Shift 10 to 19"],
  ["l", "lock", "Lock or unlock the chosen class"],
  ["z", "undo", "Undo (also Ctrl+Z)"],
  ["y", "redo", "Redo (also Ctrl+Y, Ctrl+Shift+Z)"],
  ["enter", "accept", "Close the polygon, label the selection; with Alt take labels away"],
  ["escape", "cancel", "Drop the polygon or the selection"],
  ["backspace", "back", "Take the polygon's last corner back"],
  ["g", "guess", "Take the model's guess where nothing is labelled"],
  ["c", "confident", "Take over the pixels that the model is sure of where nothing is labelled"],
  ["n", "next", "Next picture"],
  ["shift+n", "previous", "Previous picture"],
  ["k", "skip", "Skip this picture"],
  ["q", "unsure", "Mark this picture as unsure"],
  ["h", "hide", "Hide the labels while held"],
  ["o", "outline", "Outlines only"],
  ["x", "uncertain", "Where the model is unsure"],
  ["m", "predicted", "What the segmenter says"],
  ["a", "fit", "Fit the picture to the window"],
  ["d", "one", "One picture pixel a screen pixel"],
  ["+", "zoomIn", "Zoom in (also Ctrl+wheel)"],
  ["-", "zoomOut", "Zoom out"],
  ["arrows", "", "Move the cursor on the picture; with Shift 10 pixels"],
  ["space", "", "Use the tool at the cursor"],
  ["?", "help", "This list"],
];

const ACTIONS = new Map(KEYS.map(([key, action]) => [key, action]));

/** The action of a keyboard event, `class:N`, or "" for none. */
export function actionOf(event) {
  const key = event.key.toLowerCase();
  if (event.ctrlKey || event.metaKey) {
    if (key === "z") return event.shiftKey ? "redo" : "undo";
    return key === "y" ? "redo" : "";
  }
  const digit = /^Digit(\d)$/.exec(event.code || "");
  if (digit && !event.altKey) return `class:${Number(digit[1]) + (event.shiftKey ? 10 : 0)}`;
  if (/^Numpad\d$/.test(event.code || "")) return `class:${event.code.slice(6)}`;
  if (event.altKey) return key === "enter" ? "subtract" : "";
  if (key === "n" && event.shiftKey) return "previous";
  if (key === "=") return "zoomIn";
  return ACTIONS.get(key) || "";
}
