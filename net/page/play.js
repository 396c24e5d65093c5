// Play: a conversation, with one answer to each prompt or, to compare settings, two.

import {cancel, headers, open_stream} from "./connection.js";
import {button, duration, find, make} from "./dom.js";
import {origin_name, origins} from "./origins.js";

const talk = find("talk"), prompt_box = find("prompt"), send_button = find("send");
const turns = []; // {prompt, element, answers: [answer, …]}
const live = new Set(); // answers that are being generated

// ---- settings

const lanes = ["", "_b"]; // what the ids of a lane's settings end in
const is_comparing = () => find("compare").checked;
const n_lanes = () => is_comparing() ? 2 : 1;

for (const ending of lanes) {
  find(`speculation${ending}`).append(
    ...[["", "default"], ["off", "off"], ["prompt_lookup", "prompt lookup"], ["suffix", "suffix"],
        ["recycling", "recycling"], ["draft_model", "draft model"]]
      .map(([value, name]) => make("option", {value}, name)));
  find(`cache_mode${ending}`).append(
    ...[["", "default"], ["off", "off"], ["exact", "exact"]]
      .map(([value, name]) => make("option", {value}, name)));
}
find("legend").append(...Object.entries(origins).map(([origin, name]) => make("li", {data: {origin}}, name)));

function settings_of(lane) {
  const value = name => find(name + lanes[lane]).value;
  const drafter = value("speculation"), mode = value("cache_mode");
  const souffleur = {trace: true};
  if (drafter === "off") souffleur.speculation = {enabled: false};
  else if (drafter) souffleur.speculation = {drafter};
  if (mode) souffleur.cache = {mode};
  const settings = {temperature: Number(value("temperature")), max_tokens: find("max_tokens").valueAsNumber, souffleur};
  if (value("seed") !== "") settings.seed = Number(value("seed"));
  return settings;
}

// What tells the two lanes' settings apart.
function name_of(lane) {
  const parts = [`temperature ${find(`temperature${lanes[lane]}`).value}`];
  for (const name of ["speculation", "cache_mode"]) {
    const chosen = find(name + lanes[lane]);
    if (chosen.value) parts.push(`${name === "speculation" ? "speculation" : "cache"}: ${chosen.selectedOptions[0].text}`);
  }
  if (find(`seed${lanes[lane]}`).value) parts.push(`seed ${find(`seed${lanes[lane]}`).value}`);
  return parts.join(", ");
}

find("compare").onchange = () => {
  find("lane_b").hidden = !is_comparing();
  for (const input of find("lane_b").elements) input.disabled = !is_comparing();
  find("play").classList.toggle("comparing", is_comparing());
};
find("compare").onchange();
find("colours").onchange = () => talk.classList.toggle("coloured", find("colours").checked);
find("colours").onchange();
find("steps").onchange = () => talk.classList.toggle("with_steps", find("steps").checked);
find("steps").onchange();
if (matchMedia("(max-width: 60rem)").matches) find("settings").open = false;

// ---- answers

// What is asked of the model for the answer of a lane in the last turn.
function messages_for(turn, lane) {
  const messages = [];
  const system = find("system").value.trim();
  if (system) messages.push({role: "system", content: system});
  for (const one of turns) {
    const answer = one.answers[lane] ?? one.answers[0];
    if (one === turn) return [...messages, {role: "user", content: one.prompt}];
    if (answer.failed) continue;
    messages.push({role: "user", content: one.prompt}, {role: "assistant", content: answer.text});
  }
  return messages;
}

function is_at_bottom() {
  const page = document.documentElement;
  return page.scrollHeight - page.scrollTop - page.clientHeight < 120;
}
function stay_at_bottom(change) {
  const follows = is_at_bottom();
  change();
  if (follows) scrollTo(0, document.documentElement.scrollHeight);
}

// Consecutive tokens of one origin share an element.
function append_text(answer, origin, text) {
  if (!text) return;
  const last = answer.body.lastChild;
  if (last && answer.last_origin === origin) {
    last.textContent += text;
    return;
  }
  answer.last_origin = origin;
  answer.body.append(origin === "model" ? make("span", {}, text)
    : make("span.drafted", {data: {origin}, title: origin_name(origin)}, text));
}

function show_delta(answer, frame) {
  const texts = frame.tokens.map(token => token.text ?? "");
  const is_known = frame.tokens.some(token => token.text !== undefined);
  if (is_known) {
    frame.tokens.forEach((token, i) => append_text(answer, token.origin, texts[i]));
    append_text(answer, "model", frame.text.slice(texts.join("").length)); // what was held back
  } else {
    append_text(answer, frame.tokens[0]?.origin ?? "model", frame.text);
  }
  answer.text += frame.text;
}

// A bar for each step: its width is the time, its height the rows of this answer, of which the solid ones brought a token.
function show_step(answer, step) {
  const bar = make("i.step", {data: step.drafter ? {origin: step.drafter} : {}});
  bar.style.width = `${Math.min(2, step.ms / 20)}rem`;
  bar.style.height = `${(1 + step.drafted) / 4}rem`;
  bar.style.setProperty("--stood", `${100 * (1 + step.accepted) / (1 + step.drafted)}%`);
  bar.title = `${step.ms.toFixed(1)} ms for ${step.rows} rows` +
    (step.drafter ? `; ${step.accepted} of ${step.drafted} tokens stood that were drafted by ${origin_name(step.drafter)}` : "");
  answer.trace.append(bar);
}

function show_numbers(answer, parts) {
  answer.note.replaceChildren(...parts.filter(part => part).map(part => make("span", {}, ...[part].flat())));
}

const stood = (accepted, drafted) =>
  drafted > 0 && [make("b", {}, `${accepted} of ${drafted}`), " drafted tokens stood"];

function live_numbers(answer) {
  const seconds = (performance.now() - answer.first_at) / 1000;
  const rate = answer.n_tokens > 1 && seconds > 0 ? (answer.n_tokens - answer.n_first) / seconds : 0;
  return [[make("b", {}, String(answer.n_tokens)), " tokens"],
          rate > 0 && [make("b", {}, rate.toFixed(1)), " tok/s"],
          stood(answer.n_accepted, answer.n_drafted)];
}

function final_numbers(frame) {
  const n = frame.usage.completion_tokens, from = frame.cache.source, speculation = frame.speculation;
  const tokens = [make("b", {}, String(n)), " tokens"];
  if (from === "flight") return [tokens, "together with an equal request"];
  if (from) return [tokens, from === "exact" ? "from the cache: the same request"
    : `from the cache: a question that is ${(100 * frame.cache.similarity).toFixed(1)} % similar`];
  const waited = (frame.timings.queue_ms ?? 0) + (frame.timings.prefill_ms ?? frame.timings.prompt_ms ?? 0);
  return [tokens,
          [make("b", {}, frame.timings.tokens_per_second.toFixed(1)), " tok/s"],
          waited > 0 && [make("b", {}, duration(waited / 1000)), " to the first"],
          stood(speculation.accepted_tokens, speculation.drafted_tokens),
          frame.finish_reason === "length" && "cut at the limit",
          frame.finish_reason === "cancelled" && "stopped"];
}

function take_frame(answer, frame) {
  if (frame.type === "accepted") {
    answer.request = frame.request;
    answer.seed = frame.seed;
  } else if (frame.type === "delta") {
    stay_at_bottom(() => {
      show_delta(answer, frame);
      answer.n_tokens += frame.tokens.length;
      if (!answer.first_at && frame.tokens.length) {
        answer.first_at = performance.now();
        answer.n_first = frame.tokens.length;
      }
      if (frame.step) {
        answer.n_drafted += frame.step.drafted;
        answer.n_accepted += frame.step.accepted;
        show_step(answer, frame.step);
      }
      if (answer.first_at) show_numbers(answer, live_numbers(answer));
    });
  } else if (frame.type === "done") {
    stay_at_bottom(() => {
      show_numbers(answer, final_numbers(frame));
      end(answer);
    });
  } else if (frame.type === "error") {
    fail(answer, frame.error.message);
  }
}

function fail(answer, why) {
  answer.failed = true;
  answer.element.classList.add("error");
  answer.body.replaceChildren(why);
  answer.note.replaceChildren();
  end(answer);
}

function end(answer) {
  live.delete(answer);
  answer.element.classList.remove("live");
  answer.element.setAttribute("aria-busy", "false");
  answer.note.append(tools_of(answer));
  show_state();
}

function tools_of(answer) {
  const tools = make("span.tools");
  if (!answer.failed) {
    const copy = button("Copy", "Copy this answer", async () => {
      await navigator.clipboard.writeText(answer.text);
      copy.textContent = "Copied";
      setTimeout(() => { copy.textContent = "Copy"; }, 1500);
    });
    tools.append(copy);
  }
  tools.append(button("Again", "Generate this answer again", () => regenerate(answer)));
  if (answer.request) tools.append(button("Trace", "Download a trace of this request, for Perfetto or chrome://tracing",
                                          () => download_trace(answer.request)));
  return tools;
}

async function download_trace(request) {
  for (let i = 0; i < 10; ++i) { // it is complete a moment after the last frame
    const reply = await fetch(`souffleur/trace/${request}`, {headers: headers()});
    if (reply.ok) {
      const url = URL.createObjectURL(await reply.blob());
      make("a", {href: url, download: `souffleur-trace-${request}.json`}).click();
      setTimeout(() => URL.revokeObjectURL(url), 1000);
      return;
    }
    await new Promise(done => setTimeout(done, 100));
  }
}

function begin(turn, lane) {
  const body = make("div.text"), trace = make("div.trace"), note = make("p.note");
  const element = make("div.turn.answer.live", {"aria-busy": "true"});
  if (n_lanes() > 1) element.append(make("h3", {}, `${"AB"[lane]}: ${name_of(lane)}`));
  element.append(body, trace, note);
  const answer = {turn, lane, element, body, trace, note, text: "", failed: false, last_origin: null,
                  n_tokens: 0, n_first: 0, n_drafted: 0, n_accepted: 0, first_at: 0};
  live.add(answer);
  answer.id = open_stream({type: "generate", keep: false, messages: messages_for(turn, lane), ...settings_of(lane)},
                          frame => take_frame(answer, frame), why => fail(answer, why));
  return answer;
}

function ask(text) {
  const turn = {prompt: text, answers: []};
  turns.push(turn);
  const edit = button("Edit", "Ask something else instead; what follows goes", () => edit_turn(turn));
  const answers = make("div.pair_of_answers");
  answers.classList.toggle("both", n_lanes() > 1);
  turn.element = make("div.exchange", {},
    make("div.turn.user", {}, make("span.tools", {}, edit), make("div.text", {}, text)), answers);
  for (let lane = 0; lane < n_lanes(); ++lane) {
    const answer = begin(turn, lane);
    turn.answers.push(answer);
    answers.append(answer.element);
  }
  talk.append(turn.element);
  show_state();
  scrollTo(0, document.documentElement.scrollHeight);
}

function forget_from(turn) {
  for (const gone of turns.splice(turns.indexOf(turn))) {
    for (const answer of gone.answers) {
      cancel(answer.id);
      live.delete(answer);
    }
    gone.element.remove();
  }
  show_state();
}

function edit_turn(turn) {
  forget_from(turn);
  prompt_box.value = turn.prompt;
  prompt_box.focus();
}

function regenerate(answer) {
  const {turn, lane} = answer;
  const next = turns[turns.indexOf(turn) + 1];
  if (next) forget_from(next);
  const again = begin(turn, lane);
  turn.answers[lane] = again;
  answer.element.replaceWith(again.element);
  show_state();
}

function stop_all() { for (const answer of live) cancel(answer.id); }

function show_state() {
  send_button.textContent = live.size ? "Stop" : "Send";
  find("welcome").hidden = turns.length > 0;
}

// ---- the form

find("form").onsubmit = event => {
  event.preventDefault();
  if (live.size) return stop_all();
  const text = prompt_box.value.trim();
  if (!text || !find("form").reportValidity()) return;
  prompt_box.value = "";
  ask(text);
};
prompt_box.onkeydown = event => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); find("form").requestSubmit(); }
};
// A click on Stop must not be refused because the prompt is empty.
send_button.onclick = event => {
  if (!live.size) return;
  event.preventDefault();
  stop_all();
};
document.addEventListener("keydown", event => { if (event.key === "Escape" && live.size) stop_all(); });
find("clear").onclick = () => { if (turns.length) forget_from(turns[0]); prompt_box.focus(); };
find("starters").append(...["Why is the sky blue?", "Write a haiku about the sea", "Explain recursion to a child"]
  .map(text => button(text, "Ask this", () => ask(text))));

export function show() { prompt_box.focus({preventScroll: true}); }
