#include "net/page.hpp"

namespace souffleur {

std::string_view page_html() {
  return R"html(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Souffleur</title>
<style>
  :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
  body { margin: 0 auto; padding: 1rem; max-width: 46rem; min-height: 100vh; box-sizing: border-box;
         display: flex; flex-direction: column; }
  h1 { font-size: 1.1rem; margin: 0 0 1rem; }
  h1 small, fieldset { font-size: .9rem; font-weight: normal; opacity: .8; }
  fieldset { border: 0; margin: 0; padding: 0; display: flex; flex-wrap: wrap; gap: .3rem 1rem; }
  fieldset input[type=number] { font: inherit; width: 4.5em; }
  #talk { flex: 1; }
  .turn { white-space: pre-wrap; overflow-wrap: anywhere; padding: .5rem .8rem; margin: .5rem 0; border-radius: .5rem; }
  .user { background: color-mix(in srgb, CanvasText 10%, Canvas); margin-left: 3rem; }
  .prompt_lookup, .cache { --hue: #1565c0; }
  .suffix, .answers, .prediction { --hue: #2e7d32; }
  .recycling, .draft_model, .grammar { --hue: #ef6c00; }
  .drafted { background: color-mix(in srgb, var(--hue) 18%, Canvas); }
  .trace { display: flex; flex-wrap: wrap; align-items: flex-end; gap: 1px; padding: 0 .8rem; }
  .step { min-width: 1px; --paint: var(--hue, GrayText);
          background: linear-gradient(to top, var(--paint) var(--stood), color-mix(in srgb, var(--paint) 25%, Canvas) 0); }
  .error { color: #c62828; }
  .note { font-size: .8rem; opacity: .7; padding: 0 .8rem; }
  form { display: flex; gap: .5rem; position: sticky; bottom: 0; padding: .5rem 0; background: Canvas; }
  textarea { flex: 1; font: inherit; padding: .5rem; resize: vertical; }
  button { font: inherit; padding: 0 1rem; }
</style>
</head>
<body>
<h1>Souffleur <small id="model"></small></h1>
<fieldset>
  <label>temperature <input type="number" form="form" required id="temperature" min="0" max="2" step="any" value="0.7"></label>
  <label>tokens, at most <input type="number" form="form" required id="max_tokens" min="1" max="100000" value="1024"></label>
  <label><input type="checkbox" id="steps"> show steps</label>
  <label id="key_label" hidden>API key <input type="password" id="key" autocomplete="off"></label>
</fieldset>
<main id="talk" aria-live="polite"></main>
<form id="form">
  <textarea id="prompt" rows="2" placeholder="Ask something" aria-label="Prompt" required autofocus></textarea>
  <button id="send">Send</button>
</form>
<script>
const talk = document.getElementById("talk"), form = document.getElementById("form");
const prompt_box = document.getElementById("prompt"), send = document.getElementById("send");
const steps_box = document.getElementById("steps"), temperature_box = document.getElementById("temperature");
const max_tokens_box = document.getElementById("max_tokens");
const messages = [];
let socket = null, live = null, n_streams = 0;

const key_box = document.getElementById("key");

async function look_who_is_there() {
  const headers = key_box.value ? {Authorization: `Bearer ${key_box.value}`} : {};
  const answer = await fetch("v1/models", {headers});
  const is_known = answer.status !== 401;
  document.getElementById("key_label").hidden = is_known && !key_box.value;
  document.getElementById("model").textContent = is_known ? (await answer.json()).data[0].id
    : key_box.value ? "the key is not one of this server's" : "asks for a key";
}
key_box.onchange = () => { if (socket) socket.close(); socket = null; look_who_is_there(); };
look_who_is_there();

function add(kind, text) {
  const element = document.createElement("div");
  element.className = kind;
  element.textContent = text;
  talk.append(element);
  element.scrollIntoView({block: "end"});
  return element;
}

function connect() {
  if (socket && socket.readyState <= WebSocket.OPEN) return socket;
  const url = new URL("v1/stream", location.href);
  url.protocol = url.protocol.replace("http", "ws");
  // A browser cannot set a header here.
  socket = new WebSocket(url, ["souffleur.v1", ...(key_box.value ? [`souffleur.key.${key_box.value}`] : [])]);
  socket.onmessage = event => receive(JSON.parse(event.data));
  socket.onclose = () => { if (live) fail("The connection to the server was lost."); };
  return socket;
}

function when_open(action) {
  const there = connect();
  if (there.readyState === WebSocket.OPEN) action(there);
  else there.addEventListener("open", () => action(there), {once: true});
}

// One step's text, coloured by who drafted of it: the pieces of a delta's text do not pair up with its tokens.
function show_delta(stream, frame) {
  const origins = [...new Set(frame.tokens.map(token => token.origin))];
  const piece = document.createElement("span");
  piece.textContent = frame.text;
  const drafted = origins.filter(origin => origin !== "model");
  if (drafted.length) {
    piece.className = `drafted ${drafted[0]}`;
    piece.title = `${frame.tokens.filter(token => token.origin !== "model").length} of ${frame.tokens.length} tokens: ${drafted.join(", ")}`;
  }
  stream.element.append(piece);
}

// A bar for each step: its width is the time, its height the rows of this answer, of which the solid ones brought a token.
function show_step(stream, step) {
  stream.trace ??= add("trace", "");
  const bar = document.createElement("i");
  bar.className = `step ${step.drafter ?? ""}`;
  bar.style.width = `${Math.min(2, step.ms / 20)}rem`;
  bar.style.height = `${(1 + step.drafted) / 4}rem`;
  bar.style.setProperty("--stood", `${100 * (1 + step.accepted) / (1 + step.drafted)}%`);
  bar.title = `${step.ms.toFixed(1)} ms for ${step.rows} rows` +
    (step.drafter ? `; ${step.accepted} of ${step.drafted} tokens stood that were drafted by ${step.drafter}` : "");
  stream.trace.append(bar);
}

function receive(frame) {
  if (!live || (frame.id && frame.id !== live.id)) return;
  if (frame.type === "delta") {
    show_delta(live, frame);
    if (frame.step) show_step(live, frame.step);
    (live.trace ?? live.element).scrollIntoView({block: "end"});
  } else if (frame.type === "done") {
    messages.push({role: "assistant", content: live.element.textContent});
    add("note", note_on(frame));
    finish();
  } else if (frame.type === "error") {
    fail(frame.error.message);
  }
}

function note_on(frame) {
  const s = frame.speculation, n = frame.usage.completion_tokens, from = frame.cache.source;
  if (from === "flight") return `${n} tokens, together with an equal request`;
  if (from) return `${n} tokens from the cache: ${from === "exact" ? "the same request"
    : `a question that is ${(100 * frame.cache.similarity).toFixed(1)} % similar`}`;
  return `${n} tokens, ${frame.timings.tokens_per_second.toFixed(1)} per second` +
    (s.accepted_tokens ? `, ${s.accepted_tokens} of ${s.drafted_tokens} drafted tokens stood` : "");
}

function finish() { live = null; send.textContent = "Send"; }
function fail(message) { add("turn error", message); messages.pop(); finish(); }

form.onsubmit = event => {
  event.preventDefault();
  if (live) {
    socket.send(JSON.stringify({type: "cancel", id: live.id}));
    return;
  }
  const text = prompt_box.value.trim();
  if (!text || !form.reportValidity()) return;
  prompt_box.value = "";
  messages.push({role: "user", content: text});
  add("turn user", text);
  live = {id: `page-${++n_streams}`, element: add("turn", "")};
  send.textContent = "Stop";
  const request = {type: "generate", id: live.id, messages, souffleur: {trace: steps_box.checked},
                   temperature: temperature_box.valueAsNumber, max_tokens: max_tokens_box.valueAsNumber};
  when_open(s => s.send(JSON.stringify(request)));
};
prompt_box.onkeydown = event => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); form.requestSubmit(); }
};
</script>
</body>
</html>
)html";
}

} // namespace souffleur
