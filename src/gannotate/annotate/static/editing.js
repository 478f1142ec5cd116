// What the tools do to the label map, stroke by stroke. No page here: the board tells points, the app shows changes.

import { IGNORE, fill, makeMap, paintDisc, paintLine, paintPolygon, paintSelection, select } from "./raster.js";
import { takeConfident } from "./confident.js";
import { paintPatch } from "./superpixels.js";
import { UndoStack } from "./undo.js";

export const TOOLS = ["brush", "eraser", "polygon", "fill", "superpixel", "wand", "pick", "pan"];

export class Editing {
  /** events: {drawn(top, bottom), changed(), picked(class), wand(x, y), polygon(points), selection(array or null)}. */
  constructor(size, events) {
    this.side = size;
    this.events = events;
    this.tool = "brush";
    this.size = Math.max(2, Math.round(size / 16));
    this.value = 1;
    this.locked = new Set();
    this.threshold = 120;
    this.connected = true;
    this.frozen = false;
    this.open(makeMap(size, size));
  }

  /** Begins with another picture's map; what was done before cannot be undone any more. */
  open(map) {
    this.map = map;
    this.undoing = new UndoStack(this.side);
    this.points = [];
    this.stroke = null;
    this.alike = null;
    this.selection = null;
    this.patches = null; // of this picture, once they are here
  }

  get erases() {
    return this.tool === "eraser";
  }

  /** Whether something is begun and not done: a stroke, a polygon, a selection. */
  get busy() {
    return this.stroke !== null || this.points.length > 0 || this.selection !== null;
  }

  inside(point) {
    return point.x >= 0 && point.y >= 0 && point.x < this.side && point.y < this.side;
  }

  down(point, subtract = false) {
    if (this.frozen) return;
    const x = Math.floor(point.x);
    const y = Math.floor(point.y);
    if (this.tool === "brush" || this.erases) {
      const value = this.erases || subtract ? IGNORE : this.value;
      this.stroke = { before: this.map.data.slice(), last: point, value };
      paintDisc(this.map, point.x, point.y, this.size, value, this.locked);
      this.tellRows(point, point);
    } else if (this.tool === "superpixel") {
      if (!this.patches) return;
      const value = subtract ? IGNORE : this.value;
      this.stroke = { before: this.map.data.slice(), last: point, value, taken: new Set() };
      this.takePatches(point, point);
    } else if (this.tool === "polygon") {
      this.corner(point, subtract);
    } else if (!this.inside(point)) {
      return;
    } else if (this.tool === "fill") {
      this.step(() => fill(this.map, x, y, subtract ? IGNORE : this.value, this.locked));
    } else if (this.tool === "pick") {
      this.events.picked(this.map.data[y * this.side + x]);
    } else if (this.tool === "wand") {
      this.events.wand(x, y);
    }
  }

  move(point) {
    if (!this.stroke) return;
    const { last, value, taken } = this.stroke;
    this.stroke.last = point;
    if (taken) {
      this.takePatches(last, point);
      return;
    }
    paintLine(this.map, last, point, this.size, value, this.locked);
    this.tellRows(last, point);
  }

  up() {
    if (!this.stroke) return;
    const { before } = this.stroke;
    this.stroke = null;
    if (this.undoing.push(before, this.map.data)) this.events.changed();
  }

  /** The stroke under way was none (a second finger came down): takes it back. */
  abort() {
    if (!this.stroke) return;
    this.map.data.set(this.stroke.before);
    this.stroke = null;
    this.events.drawn(0, this.side);
  }

  /** The superpixels between two points of a stroke, each once. */
  takePatches(from, to) {
    const { value, taken } = this.stroke;
    for (const id of this.patches.along(from, to)) {
      if (taken.has(id)) continue;
      taken.add(id);
      const { top, bottom } = paintPatch(this.map, this.patches, id, value, this.locked);
      this.events.drawn(top, bottom);
    }
  }

  tellRows(from, to) {
    const reach = this.size / 2 + 1;
    const top = Math.floor(Math.min(from.y, to.y) - reach);
    const bottom = Math.ceil(Math.max(from.y, to.y) + reach);
    this.events.drawn(Math.max(0, top), Math.min(this.side, bottom));
  }

  /** Runs one change of the whole map as a step that can be undone. */
  step(change) {
    if (this.frozen) return false;
    const before = this.map.data.slice();
    change(this.map);
    if (!this.undoing.push(before, this.map.data)) return false;
    this.events.drawn(0, this.side);
    this.events.changed();
    return true;
  }

  corner(point, subtract) {
    const first = this.points[0];
    if (first && this.points.length > 2 && Math.hypot(first.x - point.x, first.y - point.y) * this.scale() < 8) {
      this.closePolygon(subtract);
      return;
    }
    this.points.push({ x: point.x, y: point.y });
    this.events.polygon(this.points);
  }

  /** Screen pixels a picture pixel; the app sets it. */
  scale() {
    return 8;
  }

  closePolygon(subtract = false) {
    const points = this.points;
    this.points = [];
    this.events.polygon(this.points);
    this.step((map) => paintPolygon(map, points, subtract ? IGNORE : this.value, this.locked));
  }

  /** The answer of the wand: how alike every pixel is to the clicked one. */
  setAlike(alike, x, y) {
    this.alike = { values: alike, x, y };
    this.reselect();
  }

  reselect() {
    if (!this.alike) return;
    const { values, x, y } = this.alike;
    this.selection = select(values, this.side, this.side, this.threshold, x, y, this.connected);
    this.events.selection(this.selection);
  }

  labelSelection(subtract = false) {
    const selection = this.selection;
    this.cancel();
    if (selection) this.step((map) => paintSelection(map, selection, subtract ? IGNORE : this.value, this.locked));
  }

  /** Enter: the polygon is closed, or the selection labelled. */
  accept(subtract = false) {
    if (this.points.length > 2) this.closePolygon(subtract);
    else if (this.selection) this.labelSelection(subtract);
  }

  cancel() {
    this.points = [];
    this.alike = null;
    this.selection = null;
    this.events.polygon(this.points);
    this.events.selection(null);
  }

  back() {
    this.points.pop();
    this.events.polygon(this.points);
  }

  undo() {
    this.revert(this.undoing.undo(this.map.data));
  }

  redo() {
    this.revert(this.undoing.redo(this.map.data));
  }

  revert(box) {
    if (!box) return;
    this.events.drawn(box.top, box.top + box.height);
    this.events.changed();
  }

  /** Puts another map's classes where nothing is labelled. */
  fillFrom(data) {
    return this.step((map) => {
      for (let at = 0; at < data.length; at += 1) if (map.data[at] === IGNORE) map.data[at] = data[at];
    });
  }

  /** Takes the model's labels over where nothing is labelled and it is sure enough (see confident.js), as one step. */
  takeConfident(labels, confidence, least) {
    return this.step((map) => takeConfident(map, labels, confidence, least));
  }

  /** Replaces the whole map, as one step. */
  replace(data) {
    return this.step((map) => map.data.set(data));
  }

  toggleLock(value) {
    if (!this.locked.delete(value)) this.locked.add(value);
  }
}
