/** One result as a row. */

const template = document.querySelector("#row");
const SURE = 1 / 5; // of the most possible entropy

/** The row of a scored casting; `model` is what scored it. */
export function makeRow({ name, url }, answer, model) {
  const row = template.content.firstElementChild.cloneNode(true);
  const part = (selector) => row.querySelector(selector);
  part("h3").textContent = name;
  part(".by").textContent = `version ${model.version}`;
  part(".pictures").setAttribute("aria-label", `Enlarge ${name}`);
  const picture = part(".picture img");
  picture.addEventListener("error", () => {
    picture.hidden = true; // a TIFF, say
    part(".picture .instead").hidden = false;
  });
  picture.src = url;
  fillVerdict(row, part, answer, model);
  fillUncertainty(part, answer, Math.log(model.classes.length));
  return row;
}

export function isRejected({ label }, { good }) {
  return good !== null && label !== good;
}

function fillVerdict(row, part, { label, probabilities }, model) {
  const rejected = isRejected({ label }, model);
  const badge = part(".badge");
  part(".class").textContent = label;
  if (model.good === null) {
    badge.remove();
    row.querySelectorAll(".defect").forEach((element) => element.remove());
  } else {
    badge.textContent = rejected ? "✕ Reject" : "✓ Pass";
    badge.classList.add(rejected ? "reject" : "pass");
    fillDefect(part, 1 - probabilities[model.good], model.threshold);
  }
  const classes = Object.entries(probabilities).sort(([, a], [, b]) => b - a);
  part(".classes").append(...classes.map(([name, p]) => pair(name, percent(p))));
}

function fillDefect(part, p, threshold) {
  part(".p").textContent = percent(p);
  part(".share").style.width = `${100 * p}%`;
  if (threshold === null) {
    part(".tick").remove();
  } else {
    part(".threshold").textContent = `rejected from ${percent(threshold)}`;
    part(".tick").style.left = `${100 * Math.min(threshold, 1)}%`;
  }
}

function fillUncertainty(part, answer, most) {
  const { bald, bald_standard_error: error, expected_entropy: expected } = answer;
  const total = answer.predictive_entropy;
  part(".bald").textContent = nats(bald) + (error === null ? "" : ` ± ${nats(error)}`);
  part(".expected").textContent = nats(expected);
  part(".total").textContent = `${nats(total)} nats`;
  part(".disagree").style.width = `${(100 * bald) / most}%`;
  part(".unsure").style.width = `${(100 * expected) / most}%`;
  part(".reading").textContent =
    total < SURE * most
      ? "Sure"
      : `Unsure: ${percent(bald / total)} of it is disagreement`;
}

function pair(name, value) {
  const group = document.createElement("div");
  for (const [tag, text] of [["dt", name], ["dd", value]]) {
    group.append(Object.assign(document.createElement(tag), { textContent: text }));
  }
  return group;
}

function percent(p) {
  if (p > 0 && p < 0.0005) return "< 0.1 %";
  if (p < 1 && p > 0.9995) return "> 99.9 %";
  return `${(100 * p).toFixed(1)} %`;
}

function nats(value) {
  return value.toFixed(3);
}
