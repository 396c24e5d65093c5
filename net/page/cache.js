// Cache: what the response cache would make of two questions.

import {headers} from "./connection.js";
import {button, find, make} from "./dom.js";

const examples = [
  ["How do I cook rice?", "What is the best way to cook rice?", "the same"],
  ["How do I turn the alarm on?", "How do I turn the alarm off?", "opposites"],
  ["How many miles are 10 km?", "How many miles are 12 km?", "another number"],
  ["Who was the first president of France?", "Who was the first president of Finland?", "another name"],
  ["Is it safe to eat raw eggs?", "Is it not safe to eat raw eggs?", "a negation"],
];

const draft_from = .7; // see policies/cache_policy.cpp

const uses = {
  serve: ["good", "serve", "The stored answer is given at once."],
  draft: ["fair", "draft", "An answer is generated; the stored one serves as its draft, which is never wrong."],
  ignore: ["plain", "ignore", "An answer is generated, as if nothing were stored."],
};

const policies = {
  fixed: () => "Serves whatever is as similar as the threshold, as most semantic caches do.",
  guarded: () => "Asks for the same similarity, and that no guard objects.",
  bounded: one => one.floor === null ? "No threshold is certified for so few errors; it learns of each answer by comparing."
    : `Certified for so few errors from ${one.floor.toFixed(3)} on.`,
};

function mark(at, name) {
  const made = make("div.mark", {}, make("span", {}, name));
  made.style.left = `${100 * at}%`;
  return made;
}

function gauge(found) {
  const level = make("div.level", {}, make("span", {}, found.similarity.toFixed(3)));
  level.style.width = `${100 * Math.max(0, found.similarity)}%`;
  const marks = [mark(found.threshold, "threshold")];
  if (Math.abs(found.threshold - draft_from) > .12) marks.push(mark(draft_from, "worth drafting"));
  return make("div.gauge", {role: "img", "aria-label": `Similarity ${found.similarity.toFixed(3)}`}, level, ...marks);
}

function guard_line(guard) {
  return guard.refused_by === null
    ? make("p.guard", {}, make("span.chip.good", {}, "guards pass"), "Nothing in the words tells the questions apart.")
    : make("p.guard", {}, make("span.chip.bad", {}, `guard: ${guard.refused_by}`), guard.why);
}

function decision_card(one, in_force) {
  const [tone, name, meaning] = uses[one.use];
  const card = make("section.card", {}, make("h2", {}, one.policy, make(`span.chip.${tone}`, {}, name)),
    make("p", {}, `${policies[one.policy](one)} ${meaning}`));
  if (one.right !== undefined && one.right > 0) card.append(make("p", {}, `Held to be right with probability ${one.right.toFixed(2)}.`));
  if (one.verify) card.append(make("p", {}, "The generated answer is compared with the stored one, and the outcome remembered."));
  if (one.policy === in_force) {
    card.classList.add("in_force");
    card.append(make("p", {}, "This server's policy."));
  }
  return card;
}

function show_verdict(found) {
  find("verdict").replaceChildren(
    make("h2", {}, "Similarity"), gauge(found), guard_line(found.guard),
    ...(found.is_truncated ? [make("p.hint", {}, "The embedding model does not read all of it: such questions are not compared.")] : []),
    make("div.decisions", {}, ...found.decisions.map(one => decision_card(one, found.policy_in_force))));
  find("verdict").hidden = false;
}

function complain(why) {
  find("verdict").replaceChildren(make("p.error", {}, make("span.text", {}, why)));
  find("verdict").hidden = false;
}

async function compare() {
  const body = {a: find("question_a").value.trim(), b: find("question_b").value.trim(),
                threshold: find("threshold").valueAsNumber, max_error: find("max_error").valueAsNumber};
  try {
    const reply = await fetch("souffleur/cache/compare", {method: "POST", body: JSON.stringify(body),
                                                          headers: {...headers(), "Content-Type": "application/json"}});
    const said = await reply.json();
    if (reply.ok) show_verdict(said);
    else complain(said.error.message);
  } catch {
    complain("The server does not answer.");
  }
}

function show_values() {
  find("threshold_value").textContent = find("threshold").valueAsNumber.toFixed(2);
  find("max_error_value").textContent = `${(100 * find("max_error").valueAsNumber).toFixed(1)} %`;
}

find("compare_form").onsubmit = event => { event.preventDefault(); compare(); };
for (const slider of [find("threshold"), find("max_error")]) {
  slider.oninput = show_values;
  slider.onchange = () => { if (!find("verdict").hidden) compare(); };
}
find("examples").append(...examples.map(([a, b, name]) => button(name, `${a} – ${b}`, () => {
  find("question_a").value = a;
  find("question_b").value = b;
  compare();
})));
show_values();
