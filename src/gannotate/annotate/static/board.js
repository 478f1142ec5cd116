// The canvas: picture, overlays and cursor, and what pointers and the keyboard do on it, told in picture pixels.

import { makeMap } from "./raster.js";
import { paintGrid, paintOverlay, paintSelected, paintUncertainty } from "./paint.js";
import { fitView, oneToOne, pan, toPicture, toScreen, zoomAt } from "./view.js";

function layer(size) {
  const canvas = document.createElement("canvas");
  canvas.width = size;
  canvas.height = size;
  const context = canvas.getContext("2d");
  return { canvas, context, pixels: context.createImageData(size, size) };
}

export class Board {
  /** events: {down(point, event), move(point, event), up(), abort(), wheel(direction) -> true when used, pans()}. */
  constructor(canvas, size, events) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.size = size;
    this.events = events;
    this.map = makeMap(size, size);
    this.colours = [];
    this.look = { opacity: 0.6, outline: false, hidden: false, brightness: 100, contrast: 100, uncertain: false, predicted: false };
    this.labels = layer(size);
    this.unsure = layer(size);
    this.selected = layer(size);
    this.times = Math.max(2, Math.round(1024 / size)); // of the grid's canvas: thin lines on small pictures too
    this.grid = null;
    this.hasGrid = false;
    this.predicted = null; // what the segmenter says, shown in place of the labels
    this.hasUnsure = false;
    this.hasSelection = false;
    this.image = null;
    this.view = null;
    this.cursor = { x: size / 2, y: size / 2, shown: false, diameter: 0, colour: [255, 255, 255] };
    this.polygon = [];
    this.drawn = 0;
    this.pointers = new Map();
    this.listen();
    new ResizeObserver(() => this.resize()).observe(canvas);
    this.resize();
  }

  resize() {
    const ratio = window.devicePixelRatio || 1;
    const box = this.canvas.getBoundingClientRect();
    this.canvas.width = Math.max(1, Math.round(box.width * ratio));
    this.canvas.height = Math.max(1, Math.round(box.height * ratio));
    if (!this.view || this.fitted) this.fit();
    this.draw();
  }

  fit() {
    const box = this.canvas.getBoundingClientRect();
    this.view = fitView(this.size, box.width, box.height);
    this.fitted = true;
    this.draw();
  }

  one() {
    const box = this.canvas.getBoundingClientRect();
    this.setView(oneToOne(this.size, box.width, box.height, window.devicePixelRatio || 1));
  }

  setView(view) {
    this.view = view;
    this.fitted = false;
    this.draw();
  }

  zoom(factor, at) {
    const box = this.canvas.getBoundingClientRect();
    this.setView(zoomAt(this.view, at || { x: box.width / 2, y: box.height / 2 }, factor));
  }

  /** Another picture: its image and its label map. */
  show(image, map) {
    this.image = image;
    this.map = map;
    this.polygon = [];
    this.setSelection(null);
    this.setUncertainty(null);
    this.setGrid(null);
    this.predicted = null;
    this.refresh();
  }

  /** Redraws the overlay's rows top..bottom, after the map changed there. */
  refresh(top = 0, bottom = this.size) {
    const first = Math.max(0, top - 1);
    const last = Math.min(this.size, bottom + 1);
    const shown = this.look.predicted && this.predicted ? this.predicted : this.map;
    paintOverlay(this.labels.pixels.data, shown, this.colours, this.look, first, last);
    this.labels.context.putImageData(this.labels.pixels, 0, 0, 0, first, this.size, last - first);
    this.draw();
  }

  setUncertainty(values) {
    this.hasUnsure = values !== null;
    if (values) {
      paintUncertainty(this.unsure.pixels.data, values);
      this.unsure.context.putImageData(this.unsure.pixels, 0, 0);
    }
    this.draw();
  }

  /** Shows the borders of superpixels (the number of every pixel's), or none. */
  setGrid(values) {
    this.hasGrid = values !== null;
    if (values) {
      this.grid = this.grid || layer(this.size * this.times);
      paintGrid(this.grid.pixels.data, values, this.size, this.times);
      this.grid.context.putImageData(this.grid.pixels, 0, 0);
    }
    this.draw();
  }

  setPrediction(data) {
    this.predicted = data ? { width: this.size, height: this.size, data } : null;
    this.refresh();
  }

  setSelection(selection, colour = [255, 255, 255]) {
    this.hasSelection = selection !== null;
    if (selection) {
      paintSelected(this.selected.pixels.data, selection, this.size, colour);
      this.selected.context.putImageData(this.selected.pixels, 0, 0);
    }
    this.draw();
  }

  /** Draws once before the next frame, however often it is called. */
  draw() {
    if (!this.drawn) this.drawn = requestAnimationFrame(() => this.drawNow());
  }

  drawNow() {
    this.drawn = 0;
    const { context, view } = this;
    const ratio = window.devicePixelRatio || 1;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    if (!view) return;
    context.setTransform(view.scale * ratio, 0, 0, view.scale * ratio, view.x * ratio, view.y * ratio);
    context.imageSmoothingEnabled = false;
    if (this.image) {
      context.filter = `brightness(${this.look.brightness}%) contrast(${this.look.contrast}%)`;
      context.drawImage(this.image, 0, 0, this.size, this.size);
      context.filter = "none";
    }
    context.drawImage(this.labels.canvas, 0, 0);
    if (this.hasUnsure && this.look.uncertain) context.drawImage(this.unsure.canvas, 0, 0);
    if (this.hasGrid) {
      context.imageSmoothingEnabled = true; // its thin lines would be dropped otherwise
      context.drawImage(this.grid.canvas, 0, 0, this.size, this.size);
      context.imageSmoothingEnabled = false;
    }
    if (this.hasSelection) context.drawImage(this.selected.canvas, 0, 0);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.drawPolygon();
    this.drawCursor();
  }

  drawPolygon() {
    if (!this.polygon.length) return;
    const corners = [...this.polygon, this.cursor].map((point) => toScreen(this.view, point));
    for (const [width, colour] of [[3, "#000"], [1.5, "#fff"]]) {
      this.context.lineWidth = width;
      this.context.strokeStyle = colour;
      this.context.beginPath();
      for (const corner of corners) this.context.lineTo(corner.x, corner.y);
      this.context.stroke();
    }
    for (const corner of corners.slice(0, -1)) {
      this.context.fillStyle = "#fff";
      this.context.fillRect(corner.x - 3, corner.y - 3, 6, 6);
      this.context.strokeRect(corner.x - 3, corner.y - 3, 6, 6);
    }
  }

  drawCursor() {
    const { cursor, context } = this;
    if (!cursor.shown) return;
    const at = toScreen(this.view, cursor);
    const radius = Math.max(2, (cursor.diameter * this.view.scale) / 2);
    const [red, green, blue] = cursor.colour;
    for (const [width, colour] of [[3.5, "rgb(0 0 0 / 70%)"], [1.5, `rgb(${red} ${green} ${blue})`]]) {
      context.lineWidth = width;
      context.strokeStyle = colour;
      context.beginPath();
      if (cursor.diameter > 0) context.arc(at.x, at.y, radius, 0, 2 * Math.PI);
      context.moveTo(at.x - 5, at.y);
      context.lineTo(at.x + 5, at.y);
      context.moveTo(at.x, at.y - 5);
      context.lineTo(at.x, at.y + 5);
      context.stroke();
    }
  }

  where(event) {
    const box = this.canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  listen() {
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (event) => this.up(event));
    canvas.addEventListener("pointerleave", () => {
      this.cursor.shown = document.activeElement === canvas && this.byKeys;
      this.draw();
    });
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
  }

  down(event) {
    this.canvas.focus({ preventScroll: true });
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, this.where(event));
    if (event.pointerType === "touch" && this.pointers.size === 2) {
      this.gesture = true; // two fingers: zoom and pan, and what the first one drew is taken back
      this.events.abort();
      return;
    }
    this.dragging = event.button === 1 || event.button === 2 || this.events.pans();
    if (!this.dragging && !this.gesture) this.events.down(toPicture(this.view, this.where(event)), event);
  }

  move(event) {
    const at = this.where(event);
    const before = this.pointers.get(event.pointerId);
    this.byKeys = false;
    if (before && this.gesture) this.pinch(event.pointerId, at);
    else if (before && this.dragging) this.setView(pan(this.view, at.x - before.x, at.y - before.y));
    if (before) this.pointers.set(event.pointerId, at);
    Object.assign(this.cursor, toPicture(this.view, at), { shown: true });
    if (!this.gesture && !this.dragging) {
      // all points since the last frame, so that fast strokes stay round
      const passed = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
      for (const one of passed.length ? passed : [event]) this.events.move(toPicture(this.view, this.where(one)), event);
    }
    this.draw();
  }

  up(event) {
    this.pointers.delete(event.pointerId);
    if (!this.pointers.size) this.gesture = false;
    if (!this.dragging) this.events.up();
    this.dragging = false;
  }

  pinch(id, at) {
    const before = this.pointers.get(id);
    const other = [...this.pointers].find(([key]) => key !== id);
    if (!other) return;
    const apart = (point) => Math.hypot(point.x - other[1].x, point.y - other[1].y);
    const middle = { x: (at.x + other[1].x) / 2, y: (at.y + other[1].y) / 2 };
    const moved = pan(this.view, (at.x - before.x) / 2, (at.y - before.y) / 2);
    this.setView(zoomAt(moved, middle, apart(at) / Math.max(1, apart(before))));
  }

  wheel(event) {
    event.preventDefault();
    if (!event.ctrlKey && this.events.wheel(event.deltaY < 0 ? 1 : -1)) return;
    this.zoom(Math.exp(-Math.max(-60, Math.min(60, event.deltaY)) / 200), this.where(event));
  }
}
