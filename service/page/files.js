/** Files that were chosen or dropped, folders included. */

/** What was dropped, as `{name, file}`; a folder's files are named by their path in it. */
export async function dropped(transfer) {
  // All entries now: the list is empty once we have waited for anything.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
  return (await Promise.all(entries.map(unfold))).flat();
}

export function chosen(input) {
  return [...input.files].map((file) => ({ name: file.name, file }));
}

async function unfold(entry) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return [{ name: entry.fullPath.slice(1), file }];
  }
  const found = [];
  for await (const child of children(entry)) found.push(...(await unfold(child)));
  return found.sort((a, b) => a.name.localeCompare(b.name));
}

async function* children(folder) {
  const reader = folder.createReader();
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return; // it gives a hundred at a time
    yield* some;
  }
}
