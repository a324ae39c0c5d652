/** The list of results, in one of two orders, and its sum. */

import { watch } from "./heat_map.js";
import { isRejected, makeRow } from "./row.js";

const find = (id) => document.querySelector(`#${id}`);
const list = find("rows");
const order = find("order");
let entries = []; // scored, in the order shown
const failures = [];

const before = {
  first: (a, b) => b.answer.bald - a.answer.bald || a.casting.index - b.casting.index,
  dropped: (a, b) => a.casting.index - b.casting.index,
};

order.addEventListener("change", () => {
  entries.sort(before[order.value]);
  list.append(...entries.map(({ row }) => row));
});

export function addScored(casting, answer, model) {
  casting.url = URL.createObjectURL(casting.file);
  const row = makeRow(casting, answer, model);
  const entry = { casting, answer, row, model, rejected: isRejected(answer, model) };
  // In its place, without moving the others: the focus may be in one of them.
  const after = entries.findIndex((other) => before[order.value](entry, other) < 0);
  const place = after === -1 ? entries.length : after;
  list.insertBefore(row, entries[place]?.row ?? null);
  entries.splice(place, 0, entry);
  watch(row, casting, model.version);
  row.querySelector(".pictures").addEventListener("click", () => enlarge(entry));
}

export function addFailed(casting, reason) {
  failures.push(casting);
  const item = document.createElement("li");
  const name = Object.assign(document.createElement("strong"), { textContent: casting.name });
  item.append(name, ` ${reason}`);
  find("failures").append(item);
  find("failed").hidden = false;
}

export function clear() {
  for (const { casting } of entries) {
    URL.revokeObjectURL(casting.url);
    if (casting.map) URL.revokeObjectURL(casting.map);
  }
  entries = [];
  failures.length = 0;
  list.replaceChildren();
  find("failures").replaceChildren();
  find("failed").hidden = true;
}

/** "24 scored, 5 rejected, 1 not scored, 8 waiting" */
export function sum(waiting) {
  const rejected = entries.filter((entry) => entry.rejected).length;
  const knowsGood = entries.some(({ model }) => model.good !== null);
  const parts = [`${entries.length} scored`];
  if (knowsGood) parts.push(`${rejected} rejected`, `${entries.length - rejected} passed`);
  if (failures.length) parts.push(`${failures.length} not scored`);
  if (waiting) parts.push(`${waiting} waiting`);
  return parts.join(", ");
}

export function done() {
  return entries.length + failures.length;
}

function enlarge({ casting, row }) {
  find("large-title").textContent = casting.name;
  const pictures = [...row.querySelectorAll(".frame img:not([hidden])")];
  find("large-pictures").replaceChildren(...pictures.map(captioned));
  find("large").showModal();
}

function captioned(picture) {
  const figure = document.createElement("figure");
  const caption = document.createElement("figcaption");
  caption.textContent = picture.alt;
  figure.append(Object.assign(picture.cloneNode(), { alt: "" }), caption);
  return figure;
}
