/** Castings to results: in chunks, taking out what the service cannot read. */

import { Refused, score } from "./api.js";

const CHUNK = 16;
const CHUNK_BYTES = 32 * 2 ** 20;

/**
 * Yields a list of outcomes at a time, `{casting, answer, model}` or `{casting, reason}`.
 * Castings leave the set `waiting` with their outcome; more may be added meanwhile.
 */
export async function* scored(waiting, tell, signal) {
  const send = (blobs) => score(blobs, tell, signal);
  while (waiting.size) {
    for await (const outcomes of scoredChunk(nextChunk(waiting), send)) {
      outcomes.forEach(({ casting }) => waiting.delete(casting));
      yield outcomes;
    }
  }
}

function nextChunk(waiting) {
  const chunk = [];
  let bytes = 0;
  for (const casting of waiting) {
    bytes += casting.file.size;
    if (chunk.length === CHUNK || (chunk.length && bytes > CHUNK_BYTES)) break;
    chunk.push(casting);
  }
  return chunk;
}

async function* scoredChunk(chunk, send) {
  // Read first: fetch would call a file that is gone a broken network.
  const contents = await Promise.all(chunk.map(({ file }) => file.arrayBuffer().catch(() => null)));
  const lost = chunk.filter((_, i) => contents[i] === null);
  if (lost.length) yield lost.map((casting) => ({ casting, reason: "the file cannot be opened" }));
  const read = chunk.map((casting, i) => ({ casting, content: contents[i] }));
  yield* sent(read.filter(({ content }) => content !== null), send);
}

async function* sent(chunk, send) {
  if (chunk.length === 0) return;
  let result;
  try {
    result = await send(chunk.map(({ content }) => new Blob([content])));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    yield* sentAgain(chunk, error, send);
    return;
  }
  const { castings, model } = result;
  yield chunk.map(({ casting }, i) => ({ casting, answer: castings[i], model }));
}

async function* sentAgain(chunk, refusal, send) {
  const bad = new Map(refusal.images.map(({ index, reason }) => [index, reason]));
  if (bad.size) {
    const isBad = (_, i) => bad.has(i);
    yield chunk.map(({ casting }, i) => ({ casting, reason: bad.get(i) })).filter(isBad);
    yield* sent(chunk.filter((_, i) => !bad.has(i)), send);
  } else if ([408, 413].includes(refusal.status) && chunk.length > 1) {
    const half = Math.ceil(chunk.length / 2);
    yield* sent(chunk.slice(0, half), send);
    yield* sent(chunk.slice(half), send);
  } else {
    yield chunk.map(({ casting }) => ({ casting, reason: refusal.message }));
  }
}
