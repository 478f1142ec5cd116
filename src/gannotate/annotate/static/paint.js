// From class ids to what is seen: RGBA pixels of the overlay. Borders stay sharp; only opacity mixes with the picture.

import { IGNORE, isBorder } from "./raster.js";

export const WAND = [255, 255, 255];

/**
 * Writes the overlay of rows top..bottom of `map` into `out` (RGBA, whole map).
 * colours: [[r, g, b], ...]; look: {opacity: 0-1, outline: bool, hidden: bool}.
 * The background (class 0) is fainter than the other classes; what has no label is clear.
 */
export function paintOverlay(out, map, colours, look, top = 0, bottom = map.height) {
  const alpha = Math.round(255 * look.opacity);
  for (let at = top * map.width; at < bottom * map.width; at += 1) {
    const value = map.data[at];
    const to = 4 * at;
    const colour = colours[value];
    let shown = 0;
    if (!look.hidden && value !== IGNORE && colour) {
      if (look.outline) shown = isBorder(map, at) ? 255 : 0;
      else shown = value === 0 ? Math.round(alpha * 0.4) : alpha;
    }
    out[to] = shown ? colour[0] : 0;
    out[to + 1] = shown ? colour[1] : 0;
    out[to + 2] = shown ? colour[2] : 0;
    out[to + 3] = shown;
  }
}

/** Writes where the model is unsure: clear where it is certain, orange to white where it is not. */
export function paintUncertainty(out, uncertainty) {
  for (let at = 0; at < uncertainty.length; at += 1) {
    const value = uncertainty[at];
    const to = 4 * at;
    out[to] = 255;
    out[to + 1] = Math.round(120 + (value * 135) / 255);
    out[to + 2] = Math.round((value * value) / 255);
    out[to + 3] = Math.min(235, value * 1.6);
  }
}

/** Writes a selection as a checkered veil, so that it is seen on any picture. */
export function paintSelected(out, selection, width, colour) {
  for (let at = 0; at < selection.length; at += 1) {
    const to = 4 * at;
    const light = ((at % width) + Math.floor(at / width)) % 2 === 0;
    const [red, green, blue] = light ? WAND : colour;
    out[to] = red;
    out[to + 1] = green;
    out[to + 2] = blue;
    out[to + 3] = selection[at] ? 200 : 0;
  }
}

/**
 * Writes the borders of superpixels into `out`, RGBA of a canvas `times` as large as the picture: a light line beside a
 * dark one, so that they are seen on any picture.
 */
export function paintGrid(out, values, size, times) {
  out.fill(0);
  const side = size * times;
  const dot = (x, y, shade) => {
    const to = 4 * (y * side + x);
    out[to] = shade;
    out[to + 1] = shade;
    out[to + 2] = shade;
    out[to + 3] = 130;
  };
  for (let at = 0; at < values.length; at += 1) {
    const x = at % size;
    const y = (at - x) / size;
    if (x + 1 < size && values[at] !== values[at + 1]) {
      for (let step = 0; step < times; step += 1) {
        dot((x + 1) * times - 1, y * times + step, 255);
        dot((x + 1) * times, y * times + step, 0);
      }
    }
    if (y + 1 < size && values[at] !== values[at + size]) {
      for (let step = 0; step < times; step += 1) {
        dot(x * times + step, (y + 1) * times - 1, 255);
        dot(x * times + step, (y + 1) * times, 0);
      }
    }
  }
}

export function hexOf(colour) {
  return `#${colour.map((part) => part.toString(16).padStart(2, "0")).join("")}`;
}

export function colourOf(hex) {
  return [1, 3, 5].map((start) => Number.parseInt(hex.slice(start, start + 2), 16));
}

/** A colour for class `index`, far from its neighbours: hues spread by the golden ratio. */
export function freshColour(index) {
  const hue = ((index * 0.61803398875 + 0.4) % 1) * 6;
  const part = Math.round(255 * (1 - Math.abs((hue % 2) - 1)));
  return [
    [242, part, 40],
    [part, 242, 40],
    [40, 242, part],
    [40, part, 242],
    [part, 40, 242],
    [242, 40, part],
  ][Math.floor(hue)];
}
