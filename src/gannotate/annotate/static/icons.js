// Line drawings for buttons, 24 x 24, in the text's own colour.

const SVG = "http://www.w3.org/2000/svg";

const PATHS = {
  brush: "M4 20c3 0 4.5-1.5 4.5-3.8a2.4 2.4 0 0 1 4 1.6M8.6 15.2 18 5.3a1.9 1.9 0 0 1 2.7 2.7L11.6 17",
  eraser: "M8.5 20H20M4.5 15l9.2-9.2 5.6 5.6L10.7 20H8zM9.2 10.3l5.6 5.6",
  polygon: "M12 4l8.5 6.2L17.3 20H6.7L3.5 10.2z",
  fill: "M4.5 12.5 11 6l7 7-6.5 6.5zM8.5 3.5 11 6M20 16.5c1 1.5 1.4 2.2 1.4 2.9a1.4 1.4 0 0 1-2.8 0c0-.7.4-1.4 1.4-2.9z",
  superpixel: "M4 4h16v16H4zM4 10l6.5 1.5L14 4M10.5 11.5 9 20M10.5 11.5 20 14",
  wand: "M4 20 14.5 9.5M17 3.5v5M14.5 6h5M19.5 12v3M18 13.5h3M9 4v3M7.5 5.5h3",
  pick: "M4 20l.8-3.6 8.4-8.4 2.8 2.8-8.4 8.4zM12 6l6 6M14.5 5.5l1.2-1.2a2 2 0 0 1 2.8 0l1.2 1.2a2 2 0 0 1 0 2.8l-1.2 1.2",
  pan: "M12 3v18M3 12h18M9.5 5.5 12 3l2.5 2.5M9.5 18.5 12 21l2.5-2.5M5.5 9.5 3 12l2.5 2.5M18.5 9.5 21 12l-2.5 2.5",
  undo: "M8.5 13.5 4 9l4.5-4.5M4.5 9H14a5.5 5.5 0 0 1 0 11h-4",
  redo: "M15.5 13.5 20 9l-4.5-4.5M19.5 9H10a5.5 5.5 0 0 0 0 11h4",
  rename: "M4.5 19.5l1-4L16 5l3 3L8.5 18.5zM14 7l3 3",
  locked: "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3",
  unlocked: "M6 11h12v9H6zM8.5 11V7.5a3.5 3.5 0 0 1 6.8-1.2",
};

/** A drawing by its name; hidden from screen readers, the button says what it is. */
export function icon(name) {
  const drawing = document.createElementNS(SVG, "svg");
  const attributes = { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" };
  for (const [key, value] of Object.entries(attributes)) drawing.setAttribute(key, value);
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[name]);
  drawing.append(path);
  return drawing;
}
