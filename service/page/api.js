/** Calls to the service; a missing key and a busy service are waited out here. */

import { anotherKey, authorization, currentKey } from "./key.js";

/** The service answered, but not with what was asked for. */
export class Refused extends Error {
  constructor(status, body) {
    super(body.error ?? `the service answered ${status}`);
    this.status = status;
    this.images = body.images ?? [];
  }
}

/** The service did not answer. */
export class Away extends Error {
  constructor() {
    super("The service cannot be reached.");
  }
}

/** `waiting` is told why and for how many seconds, and null when it is over. */
export async function model(waiting) {
  return (await call("model", {}, waiting)).json();
}

export async function score(blobs, waiting, signal) {
  const body = new FormData();
  // The index for a name: errors name castings by index, and file names may be too long.
  blobs.forEach((blob, index) => body.append("images", blob, String(index)));
  return (await call("score", { method: "POST", body, signal }, waiting)).json();
}

export async function explain(blob, version) {
  const body = new FormData();
  body.append("images", blob, "0");
  body.append("model_version", version);
  return call("explain", { method: "POST", body }, () => {});
}

async function call(path, options, waiting) {
  for (;;) {
    const key = currentKey();
    const response = await reach(path, { ...options, headers: authorization(key) });
    if (response.ok) return response;
    const body = await response.json().catch(() => ({}));
    if (response.status === 401) {
      await unlessStopped(anotherKey(key), options.signal);
    } else if (response.status === 503) {
      const seconds = Number(response.headers.get("Retry-After")) || 2;
      waiting(body.error ?? "the service is not ready", seconds);
      await pause(seconds, options.signal);
      waiting(null);
    } else {
      throw new Refused(response.status, body);
    }
  }
}

function unlessStopped(work, signal) {
  signal?.throwIfAborted();
  const stopped = new Promise((_, reject) => {
    signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  return Promise.race([work, stopped]);
}

async function reach(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    throw error.name === "AbortError" ? error : new Away();
  }
}

function pause(seconds, signal) {
  return unlessStopped(new Promise((resolve) => setTimeout(resolve, 1000 * seconds)), signal);
}
