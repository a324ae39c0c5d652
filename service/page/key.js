/** The API key: asked for once the service wants it, kept for this tab only. */

const STORED = "casting-inspector-key";
const form = document.querySelector("#key-form");
const field = document.querySelector("#key");
const reason = document.querySelector("#key-reason");
let asking = null;

export function currentKey() {
  return sessionStorage.getItem(STORED);
}

/** The header of a request; the service compares UTF-8, and fetch sends a character a byte. */
export function authorization(key) {
  if (key === null) return {};
  return { Authorization: `Bearer ${String.fromCharCode(...new TextEncoder().encode(key))}` };
}

/** Resolves when there is another key than the refused one; everybody waits for the same answer. */
export function anotherKey(refused) {
  if (currentKey() !== refused) return Promise.resolve();
  asking ??= ask(refused).finally(() => (asking = null));
  return asking;
}

function ask(refused) {
  form.hidden = false;
  field.value = "";
  reason.textContent =
    refused === null ? "This service asks for its API key." : "This is not the key. Try another.";
  field.focus();
  return new Promise((resolve) => {
    form.addEventListener(
      "submit",
      (event) => {
        event.preventDefault();
        sessionStorage.setItem(STORED, field.value.trim());
        form.hidden = true;
        document.querySelector("#files").focus();
        resolve();
      },
      { once: true },
    );
  });
}
