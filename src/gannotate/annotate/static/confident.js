// Taking over what the model is sure of: its labels where nothing is labelled and its probability is high enough.

import { IGNORE } from "./raster.js";

/** Probabilities travel as 0-255, rounded down: this many say "more than `percent`". */
export function leastByte(percent) {
  return Math.floor((255 * percent) / 100) + 1;
}

/** How many pixels `takeConfident` would label. */
export function countConfident(map, confidence, least) {
  let count = 0;
  for (let at = 0; at < confidence.length; at += 1) if (map.data[at] === IGNORE && confidence[at] >= least) count += 1;
  return count;
}

/** Labels unlabelled pixels whose confidence is at least `least` (0-255); returns how many. */
export function takeConfident(map, labels, confidence, least) {
  let count = 0;
  for (let at = 0; at < labels.length; at += 1) {
    if (map.data[at] === IGNORE && confidence[at] >= least) {
      map.data[at] = labels[at];
      count += 1;
    }
  }
  return count;
}
