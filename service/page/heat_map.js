/** Heat maps, one after the other, for the rows that come into view. */

import { explain } from "./api.js";

const wanted = [];
const jobs = new WeakMap();
let drawing = false;

const inView = new IntersectionObserver((entries) => {
  const rows = entries.filter((entry) => entry.isIntersecting).map(({ target }) => target);
  rows.forEach((row) => inView.unobserve(row));
  wanted.unshift(...rows); // what came last is looked at now
  draw();
}, { rootMargin: "200px" });

/** Have the map of a row drawn by the version that scored it, once somebody could see it. */
export function watch(row, casting, version) {
  jobs.set(row, { casting, version });
  inView.observe(row);
}

async function draw() {
  if (drawing) return;
  drawing = true;
  while (wanted.length) {
    const row = wanted.shift();
    if (row.isConnected) await fill(row, jobs.get(row));
  }
  drawing = false;
}

async function fill(row, { casting, version }) {
  try {
    const response = await explain(casting.file, version);
    casting.map = URL.createObjectURL(await response.blob());
    // percent-encoded, since headers are ASCII
    show(row, casting.map, decodeURIComponent(response.headers.get("Casting-Class")));
  } catch {
    row.querySelector(".map .instead").textContent = "no heat map";
  }
}

function show(row, url, speaksFor) {
  const picture = row.querySelector(".map img");
  picture.src = url;
  picture.alt = `Heat map: the evidence for ${speaksFor}`;
  picture.title = picture.alt;
  picture.hidden = false;
  row.querySelector(".map .instead").remove();
}
