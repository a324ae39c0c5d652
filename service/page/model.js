/** What is served: shown in the header, and looked up for the rows. */

import { model } from "./api.js";

let served = null;
let looking = null;
const field = (name) => document.querySelector(`#model-${name}`);
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** Ask the service, and show it; everybody waits for the same answer. */
export function look() {
  looking ??= ask().finally(() => (looking = null));
  return looking;
}

async function ask() {
  served = await model((reason) => reason && show("registry", reason, true));
  show("name", served.name);
  show("version", served.version);
  show("since", moment.format(new Date(served.since)));
  showRegistry(served.registry);
  document.querySelector("#most").textContent = Math.log(served.classes.length).toFixed(2);
}

/** The version that scored; without a threshold where it is not the one that is served. */
export async function described(scoredBy) {
  // Results must not be lost because the service cannot be asked about itself just now.
  if (served?.version !== scoredBy.version) await look().catch(() => null);
  if (served?.version === scoredBy.version) return served;
  const good = scoredBy.classes.includes(served?.good) ? served.good : null;
  return { ...scoredBy, good, threshold: null };
}

function showRegistry({ reachable, last_seen: lastSeen, error }) {
  if (reachable === null) {
    show("registry", error ?? "none, a folder is served", Boolean(error));
  } else if (reachable && !error) {
    show("registry", `reachable, ${moment.format(new Date(lastSeen))}`);
  } else {
    show("registry", `${reachable ? "reachable" : "not reachable"}: ${error}`, true);
  }
}

function show(name, text, warning = false) {
  field(name).textContent = warning ? `⚠ ${text}` : text;
  field(name).classList.toggle("warning", warning);
}
