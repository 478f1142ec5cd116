// Where the picture is on the screen: picture pixel p is drawn at offset + scale * p.

export const LARGEST = 64;

export function fitView(size, width, height, margin = 16) {
  const room = Math.max(1, Math.min(width, height) - 2 * margin);
  return centred(room / size, size, width, height);
}

/** Every picture pixel as one screen pixel (`ratio` screen pixels a CSS pixel). */
export function oneToOne(size, width, height, ratio = 1) {
  return centred(1 / ratio, size, width, height);
}

function centred(scale, size, width, height) {
  return { scale, x: (width - size * scale) / 2, y: (height - size * scale) / 2 };
}

export function toPicture(view, point) {
  return { x: (point.x - view.x) / view.scale, y: (point.y - view.y) / view.scale };
}

export function toScreen(view, point) {
  return { x: view.x + point.x * view.scale, y: view.y + point.y * view.scale };
}

/** Zooms so that what is under `point` (screen) stays there. */
export function zoomAt(view, point, factor, smallest = 0.1) {
  const scale = Math.min(LARGEST, Math.max(smallest, view.scale * factor));
  const real = scale / view.scale;
  return { scale, x: point.x - (point.x - view.x) * real, y: point.y - (point.y - view.y) * real };
}

export function pan(view, dx, dy) {
  return { ...view, x: view.x + dx, y: view.y + dy };
}

/** The next brush size up or down: one pixel while small, then a tenth. */
export function nextSize(size, direction, largest = 256) {
  const step = Math.max(1, Math.round(size / 10));
  return Math.min(largest, Math.max(1, size + direction * step));
}
