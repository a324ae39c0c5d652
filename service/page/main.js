/** Puts the page together: files in, results out. */

import { Away } from "./api.js";
import { chosen, dropped } from "./files.js";
import { described, look } from "./model.js";
import * as results from "./results.js";
import { scored } from "./scoring.js";

const find = (id) => document.querySelector(`#${id}`);
const waiting = new Set();
let count = 0;
let stopper = null; // while castings are being scored

function add(files) {
  for (const file of files) waiting.add({ ...file, index: count++ });
  if (waiting.size) run();
}

async function run() {
  if (stopper !== null) return;
  const mine = (stopper = new AbortController());
  tell(null);
  refresh();
  try {
    for await (const outcomes of scored(waiting, tellWaiting, mine.signal)) {
      const model = await modelOf(outcomes);
      if (stopper !== mine) return; // cleared meanwhile
      take(outcomes, model);
      refresh();
    }
  } catch (error) {
    if (!mine.signal.aborted) tell(reason(error));
  }
  if (stopper === mine) stopper = null;
  refresh();
}

function modelOf([{ model: scoredBy }]) { // a list is all of one kind
  return scoredBy && described(scoredBy);
}

function take(outcomes, model) {
  for (const { casting, answer, reason } of outcomes) {
    if (answer) results.addScored(casting, answer, model);
    else results.addFailed(casting, reason);
  }
}

function refresh() {
  const busy = stopper !== null;
  const focused = document.activeElement;
  const done = results.done();
  find("outcome").hidden = !busy && done + waiting.size === 0;
  find("sum").textContent = results.sum(waiting.size);
  Object.assign(find("progress"), { hidden: !busy, max: done + waiting.size, value: done });
  find("stop").hidden = !busy;
  find("again").hidden = busy || waiting.size === 0;
  // a focused button that goes hands the focus on
  if (focused.hidden) find(busy ? "stop" : waiting.size ? "again" : "order").focus();
  document.body.classList.toggle("has-results", !find("outcome").hidden);
}

function tell(text) {
  find("notice").hidden = text === null;
  find("notice").textContent = text;
}

function tellWaiting(why, seconds) {
  tell(why && `Waiting: ${why}. Trying again in ${seconds} s.`);
}

function reason(error) {
  if (!(error instanceof Away)) console.error(error);
  return `${error.message} ${waiting.size} castings are not scored yet.`;
}

async function lookAtModel() {
  try {
    await look();
    if (stopper === null) tell(null);
  } catch (error) {
    tell(error.message);
  }
}

find("files").addEventListener("change", ({ target }) => {
  add(chosen(target));
  target.value = ""; // the same file may be chosen again
});
find("stop").addEventListener("click", () => stopper.abort());
find("again").addEventListener("click", run);
find("clear").addEventListener("click", () => {
  stopper?.abort();
  stopper = null;
  waiting.clear();
  results.clear();
  tell(null);
  refresh();
  find("files").focus();
});
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dragging");
});
document.addEventListener("dragleave", (event) => {
  if (event.relatedTarget === null) document.body.classList.remove("dragging");
});
document.addEventListener("drop", async (event) => {
  event.preventDefault();
  document.body.classList.remove("dragging");
  try {
    add(await dropped(event.dataTransfer));
  } catch (error) {
    tell(`What was dropped cannot be read: ${error.message}`);
  }
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) lookAtModel();
});
lookAtModel();
