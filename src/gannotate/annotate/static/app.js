// The page: which picture is open, and what happens between the board, the server and the panels.

import * as api from "./api.js";
import { Board } from "./board.js";
import { ClassList } from "./classes.js";
import { wireControls } from "./controls.js";
import { Drafts } from "./draft.js";
import { Editing, TOOLS } from "./editing.js";
import { Gallery } from "./gallery.js";
import { ImportDialog } from "./importing.js";
import { wireKeyboard } from "./keyboard.js";
import { ModelPanel } from "./model.js";
import { failed, notice, showState, succeeded } from "./notice.js";
import { byId, make, markTool, showKeys, showStrip, showTools } from "./panels.js";
import { IGNORE } from "./raster.js";
import { Saver } from "./saver.js";
import { Patches } from "./superpixels.js";
import { nextSize } from "./view.js";
import { WorkPanel } from "./work.js";

const project = await api.project().catch((error) => {
  document.body.replaceChildren(make("p", { class: "alone", role: "alert" }, error.message));
  throw error;
});
const size = project.size;
let pictures = [];
let seed = null; // of the open picture
let opening = 0; // the newest call of open(): older ones give up
let blank = false; // the open picture's guess is not wanted, or not before its label is dealt with
const trail = []; // pictures that were open before, the last one last
const drafts = new Drafts(window.localStorage, project.identity);

const edit = new Editing(size, {
  drawn: (top, bottom) => {
    if (board.look.predicted) work.showPrediction(false);
    board.refresh(top, bottom);
    showUnder();
  },
  changed: () => {
    saver.touch();
    model.showSure();
    showSteps();
  },
  picked: (value) => (value === IGNORE ? act("eraser") : chooseClass(value)),
  wand: (x, y) => runWand(x, y),
  polygon: (points) => {
    board.polygon = points;
    board.draw();
  },
  selection: (selection) => {
    board.setSelection(selection, classes.colour(edit.value));
    byId("apply").disabled = !selection;
  },
});

const board = new Board(byId("board"), size, {
  pans: () => edit.tool === "pan",
  down: (point, event) => edit.down(point, event.altKey || (event.buttons & 32) !== 0),
  move: (point) => {
    edit.move(point);
    showUnder();
  },
  up: () => edit.up(),
  abort: () => edit.abort(),
  wheel: (direction) => {
    if (edit.tool !== "brush" && edit.tool !== "eraser") return false;
    setSize(nextSize(edit.size, direction, size));
    return true;
  },
});
edit.scale = () => board.view.scale;
edit.frozen = true; // until a picture is open

const saver = new Saver({
  put: api.save,
  drafts,
  later: (run, ms) => setTimeout(run, ms),
  cancel: (handle) => clearTimeout(handle),
  show: ({ state, detail }) => {
    showState(state);
    edit.frozen = state === "stale";
    if (state === "stale") noticeStale(detail);
    else if (state === "offline") notice(detail);
    else if (state === "saved") afterSave();
  },
});

const classes = new ClassList(project.classes, {
  value: () => edit.value,
  locked: () => edit.locked,
  choose: chooseClass,
  lock: toggleLock,
  changed: (colours) => {
    board.colours = colours;
    board.refresh();
  },
  done: succeeded,
  failed,
});

const page = {
  seed: () => seed, real: () => own()?.real === true, generates: project.generates, told: (iou) => classes.setIou(iou), guessed: offerLate,
  edit, board, size, act, failed, setLook, setSize, moved: showUnder, look: board.look,
};
const model = new ModelPanel(page);
const gallery = new Gallery({ colours: () => board.colours, pictures: () => pictures });
const work = new WorkPanel({ ...page, see: () => gallery.open().catch(failed) });
new ImportDialog({
  flush: () => saver.flush(),
  imported: async () => {
    classes.take((await api.project()).classes); // new real pictures change project.yaml
    await open(seed);
  },
});

function noticeStale(detail) {
  notice(detail, {
    "Reload it": () => {
      drafts.drop(seed);
      saver.picture.saved = saver.picture.changed;
      open(seed);
    },
  });
}

/** The picture has a label that cannot be read: it stays until something is painted, or until an empty one is wanted. */
function noticeTrouble(trouble) {
  blank = true;
  showState("trouble");
  notice(trouble, {
    "Put it aside": () => {
      notice("");
      saver.touch();
    },
  });
}

async function open(wanted, back = false) {
  const mine = (opening += 1);
  if (!(await saver.flush()) && saver.picture && wanted !== seed) return;
  try {
    const image = new Image();
    image.src = api.imageOf(wanted);
    const [kept] = await Promise.all([api.labels(wanted), image.decode()]);
    const empty = kept.version === 0 || !kept.data.some((value) => value !== IGNORE);
    const guessed = empty && !kept.trouble ? await api.guess(wanted) : null;
    if (mine !== opening) return;
    if (seed !== null && seed !== wanted && !back) trail.push(seed);
    seed = wanted;
    edit.open({ width: size, height: size, data: kept.data });
    edit.frozen = false;
    byId("apply").disabled = true;
    board.show(image, edit.map);
    model.forget();
    notice("");
    showSteps();
    const started = kept.trouble ? "blank" : kept.version > 0 ? "saved" : guessed ? "guess" : "blank";
    saver.open(seed, edit.map.data, kept.version, started);
    blank = restoreDraft(kept);
    if (!blank && kept.trouble) noticeTrouble(kept.trouble);
    else if (!blank && guessed) offerGuess(guessed);
    location.replace(`#${seed}`);
    board.canvas.setAttribute("aria-label", `Picture ${nameOf(seed)}. Arrow keys move the cursor, space uses the tool.`);
    showUnder();
    await Promise.all([refreshPictures(), refreshHistory(), model.refresh(true), loadPatches()]);
    if (board.look.predicted) await work.showPrediction(true);
  } catch (error) {
    failed(error);
  }
}

async function openFirst() {
  pictures = await api.pictures();
  const wanted = Number(location.hash.slice(1));
  const unsaved = pictures.find((one) => drafts.find(one.seed, size * size)); // by a page that was closed too early
  const named = pictures.find((one) => location.hash && one.seed === wanted);
  await open((unsaved || named)?.seed ?? (await api.next(null)).seed ?? pictures[0].seed);
}

/** Strokes that this browser kept: taken up where nothing changed since, else offered. */
function restoreDraft(kept) {
  const draft = drafts.find(seed, size * size);
  if (!draft || draft.data.every((value, at) => value === kept.data[at])) {
    drafts.drop(seed);
    return false;
  }
  const take = () => {
    notice("");
    edit.replace(draft.data);
  };
  if (draft.base === kept.version) take();
  else {
    notice("This browser kept strokes for this picture that were never saved; it was changed elsewhere since.", {
      "Use mine": take,
      "Drop them": () => {
        drafts.drop(seed);
        notice("");
      },
    });
  }
  return true;
}

/** An unlabelled picture opens with the model's guess; it is saved once it is corrected or accepted. */
function offerGuess(found) {
  edit.map.data.set(found.data);
  board.refresh();
  showUnder();
  showState("guess");
  notice("This is the model's guess. Correct it, or accept it as it is; until then nothing is saved.", {
    "Accept guess": () => {
      notice("");
      saver.touch();
    },
    "Start blank": () => {
      notice("");
      edit.open({ width: size, height: size, data: edit.map.data.fill(IGNORE) });
      saver.picture.started = "blank";
      blank = true;
      board.show(board.image, edit.map);
      showState("saved");
      showUnder();
    },
  });
}

/** The model, or a better one, came after the picture: it guesses as long as nothing was done to that. */
function offerLate(found) {
  const { version, changed, stale } = saver.picture;
  if (version > 0 || changed > 0 || stale || blank || edit.busy) return;
  saver.picture.started = "guess";
  offerGuess(found);
}

async function afterSave() {
  if (saver.picture.version > 0 && saver.picture.changed) {
    notice("");
    await Promise.all([refreshPictures(), refreshHistory()]).catch(failed);
  }
}

const own = () => pictures.find((one) => one.seed === seed);
const nameOf = (wanted) => pictures.find((one) => one.seed === wanted)?.name ?? `${wanted}`;

async function refreshPictures() {
  pictures = await api.pictures();
  showStrip(byId("strip"), pictures, seed, api.imageOf, open);
  const done = pictures.filter((one) => one.labelled > 0).length;
  byId("where").textContent = `Picture ${nameOf(seed)}, ${done} of ${pictures.length} labelled`;
  byId("unsure").setAttribute("aria-pressed", `${own()?.mark === "unsure"}`);
}

async function refreshHistory() {
  const { versions } = await api.history(seed);
  const now = saver.picture.version;
  byId("history").replaceChildren(
    ...versions.reverse().map((version) => make("option", { value: `${version}` }, `version ${version}${version === now ? " (now)" : ""}`)),
    ...(versions.length ? [] : [make("option", {}, "no version yet")]),
  );
  byId("history").disabled = versions.length < 2;
}

/** Superpixels of the open picture, while that is the tool. */
async function loadPatches() {
  const asked = seed;
  const side = Number(byId("patch").value);
  const wanted = edit.tool === "superpixel";
  const values = wanted ? await api.superpixels(seed, side) : null;
  if (asked !== seed || (edit.tool === "superpixel") !== wanted || side !== Number(byId("patch").value)) return;
  edit.patches = values && new Patches(values, size);
  board.setGrid(values);
}

async function runWand(x, y) {
  try {
    const asked = seed;
    const alike = await api.similarity(seed, x, y);
    if (asked === seed) edit.setAlike(alike, x, y);
  } catch (error) {
    failed(error);
  }
}

async function goOn() {
  if (!(await saver.flush())) return;
  const found = await api.next(seed);
  if (found.seed === null) notice("Every picture is labelled or skipped: gannotate sample draws more, gannotate fit goes on.");
  else await open(found.seed);
}

/** To the picture that was open before, or the one on the left in the strip. */
async function goBack() {
  const index = pictures.findIndex((one) => one.seed === seed);
  const before = trail.pop() ?? pictures.at(index - 1)?.seed;
  if (before !== undefined && before !== seed) await open(before, true);
}

async function mark(value) {
  await api.mark(seed, own()?.mark === value ? null : value);
  await refreshPictures();
}

function setSize(value) {
  edit.size = Math.min(size, Math.max(1, value));
  byId("size").value = `${edit.size}`;
  byId("size-shown").textContent = `${edit.size} px`;
  showCursor();
}

function setTool(tool) {
  edit.cancel();
  edit.tool = tool;
  board.canvas.dataset.tool = tool;
  markTool(byId("tools"), tool);
  showCursor();
  if (seed !== null) loadPatches().catch(failed);
}

function showSteps() {
  const able = { undo: edit.undoing.canUndo, redo: edit.undoing.canRedo };
  for (const [action, can] of Object.entries(able)) byId("tools").querySelector(`[data-action=${action}]`).disabled = !can;
}

function showCursor() {
  const paints = edit.tool === "brush" || edit.erases;
  board.cursor.diameter = paints ? edit.size : 0;
  board.cursor.colour = edit.erases ? [255, 255, 255] : classes.colour(edit.value);
  board.draw();
}

function chooseClass(value) {
  if (value >= classes.items.length) return;
  edit.value = value;
  if (edit.erases || edit.tool === "pick") setTool("brush");
  if (edit.selection) board.setSelection(edit.selection, classes.colour(edit.value));
  classes.show();
  showCursor();
}

function toggleLock(value) {
  edit.toggleLock(value);
  classes.show();
}

function setLook(change) {
  Object.assign(board.look, change);
  byId("outline").checked = board.look.outline;
  byId("uncertain").checked = board.look.uncertain;
  board.refresh();
}

function showUnder() {
  const x = Math.floor(board.cursor.x);
  const y = Math.floor(board.cursor.y);
  const inside = edit.inside({ x, y });
  const value = inside ? edit.map.data[y * size + x] : IGNORE;
  const name = value === IGNORE ? "not labelled" : classes.items[value].name;
  byId("under").textContent = inside ? `${x}, ${y}: ${name}` : "";
}

const ACTIONS = {
  ...Object.fromEntries(TOOLS.map((tool) => [tool, () => setTool(tool)])),
  undo: () => edit.undo(),
  redo: () => edit.redo(),
  smaller: () => setSize(nextSize(edit.size, -1, size)),
  larger: () => setSize(nextSize(edit.size, 1, size)),
  accept: () => edit.accept(),
  subtract: () => edit.accept(true),
  cancel: () => edit.cancel(),
  back: () => edit.back(),
  lock: () => toggleLock(edit.value),
  guess: () => model.takeGuess(),
  confident: () => model.takeConfident(),
  predicted: () => work.showPrediction(!board.look.predicted),
  next: () => goOn().catch(failed),
  previous: () => goBack().catch(failed),
  skip: () => mark("skip").then(goOn).catch(failed),
  unsure: () => mark("unsure").catch(failed),
  hide: () => setLook({ hidden: true }),
  outline: () => setLook({ outline: !board.look.outline }),
  uncertain: () => setLook({ uncertain: !board.look.uncertain }),
  fit: () => board.fit(),
  one: () => board.one(),
  zoomIn: () => board.zoom(1.25),
  zoomOut: () => board.zoom(0.8),
  help: () => byId("keys").showModal(),
};

function act(action) {
  if (action === "wand" && !project.generates) action = "superpixel"; // what selects alike pixels here
  if (action.startsWith("class:")) chooseClass(Number(action.slice(6)));
  else ACTIONS[action]();
}

byId("project").textContent = byId("project").title = project.name;
document.title = `${project.name}: gannotate annotate`;
byId("size").max = `${Math.min(256, size)}`;
showTools(byId("tools"), act);
byId("tools").querySelector("[data-action=wand]").hidden = !project.generates;
showKeys(byId("keys-list"));
wireControls({ ...page, loadPatches });
wireKeyboard(page);
byId("add-class").addEventListener("click", () => classes.add());
byId("history").addEventListener("change", (event) => {
  const version = Number(event.target.value);
  api.oldVersion(seed, version).then((data) => edit.replace(data)).catch(failed);
});
document.addEventListener("keyup", (event) => event.key.toLowerCase() === "h" && setLook({ hidden: false }));
window.addEventListener("blur", () => setLook({ hidden: false }));
window.addEventListener("beforeunload", (event) => saver.unsaved && event.preventDefault());
document.addEventListener("visibilitychange", () => document.hidden && saver.flush());
setSize(edit.size);
classes.show();
setTool("brush");
await openFirst().catch(failed);
model.poll();
work.poll();
