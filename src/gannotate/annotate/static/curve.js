// The curve of labels: how good the model is on labelled pictures that it did not learn from, by how many taught it.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 236;
const HEIGHT = 92;
const LEFT = 36;
const RIGHT = 8;
const TOP = 8;
const BOTTOM = 18;

/** The lowest and highest tenth that holds all values: differences of a few points must be seen. */
export function range(curve) {
  const values = curve.map((point) => point.miou);
  const low = Math.floor(10 * Math.min(...values) + 1e-9) / 10;
  return { low, high: Math.max(low + 0.1, Math.ceil(10 * Math.max(...values) - 1e-9) / 10) };
}

/** Where the points lie: {x, y, labelled, miou}; across, every doubling of the labels is as wide. */
export function place(curve) {
  const most = Math.log2(Math.max(2, ...curve.map((point) => point.labelled)));
  const { low, high } = range(curve);
  return curve.map(({ labelled, miou }) => ({
    x: LEFT + ((WIDTH - LEFT - RIGHT) * Math.log2(labelled)) / most,
    y: TOP + (HEIGHT - TOP - BOTTOM) * (1 - (miou - low) / (high - low)),
    labelled,
    miou,
  }));
}

/** The curve in words, for those who do not see it. */
export function inWords(curve) {
  const one = ({ labelled, miou }) => `${Math.round(100 * miou)}% with ${labelled}`;
  return `mIoU on pictures left out, by labelled pictures that taught: ${curve.map(one).join(", ")}`;
}

function element(name, attributes, text = "") {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, `${value}`);
  made.textContent = text;
  return made;
}

/** Draws it into an element; a curve of fewer than two points is none. */
export function drawCurve(into, curve) {
  into.hidden = curve.length < 2;
  if (into.hidden) return;
  const points = place(curve);
  const drawing = element("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": inWords(curve) });
  const { low, high } = range(curve);
  for (const part of [0, 1]) {
    const y = TOP + (HEIGHT - TOP - BOTTOM) * (1 - part);
    drawing.append(element("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y, y2: y, class: "grid" }));
    drawing.append(element("text", { x: LEFT - 5, y: y + 3.5, "text-anchor": "end" }, `${Math.round(100 * (part ? high : low))}%`));
  }
  const line = points.map(({ x, y }, index) => `${index ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
  drawing.append(element("path", { d: line, class: "line" }));
  points.forEach(({ x, y, labelled, miou }, index) => {
    const dot = element("circle", { cx: x.toFixed(1), cy: y.toFixed(1), r: 3 });
    dot.append(element("title", {}, `${Math.round(100 * miou)}% mIoU, ${labelled} taught`));
    drawing.append(dot);
    const close = index === points.length - 2 && points[index + 1].x - x < 14; // its number would touch the last one
    if (!close) drawing.append(element("text", { x, y: HEIGHT - 5, "text-anchor": "middle" }, `${labelled}`));
  });
  into.replaceChildren(drawing);
}
