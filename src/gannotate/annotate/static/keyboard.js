// The keyboard on the page: keys act, arrows move the board's cursor, space uses the tool there.

import { actionOf } from "./keys.js";
import { byId } from "./panels.js";

/** page: {act(action), edit, board, size, moved()}. */
export function wireKeyboard(page) {
  document.addEventListener("keydown", (event) => onKey(event, page));
}

function onKey(event, page) {
  if (document.querySelector("dialog[open]")) return;
  if (event.target.matches("input[type=text], input[type=number], select")) return;
  if (event.target === page.board.canvas && moveCursor(event, page)) return;
  if (event.key === "Enter" && event.target.matches("button, a")) return; // it presses that button
  const action = actionOf(event);
  if (!action) return;
  event.preventDefault();
  page.act(action);
}

function moveCursor(event, { edit, board, size, moved }) {
  const step = event.shiftKey ? 10 : 1;
  const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
  const { cursor } = board;
  if (event.key === " ") {
    event.preventDefault();
    edit.down(cursor, event.altKey);
    edit.up();
  } else if (event.key in moves) {
    event.preventDefault();
    const [right, down] = moves[event.key];
    cursor.x = Math.min(size - 0.5, Math.max(0.5, Math.floor(cursor.x) + 0.5 + right));
    cursor.y = Math.min(size - 0.5, Math.max(0.5, Math.floor(cursor.y) + 0.5 + down));
    cursor.shown = true;
    board.byKeys = true;
    moved();
    board.draw();
  } else return false;
  return true;
}
