// Watch: how the server fares, over the same WebSocket.

import {make_chart, show as draw} from "./charts.js";
import {cancel, open_stream} from "./connection.js";
import {amount, duration, find, make, percent, size} from "./dom.js";
import {origin_name} from "./origins.js";
import {draw_tree} from "./tree.js";

const interval_ms = 500;
const n_points = 120; // of the lines
const n_bars = 80;    // of the last steps

let stream = null, retry = null, charts = null;
let history = []; // [{at_ms, output, prefill}] totals
let rates = [];   // [{output, prefill}] a second
let steps = [];   // the last ones

function make_charts() {
  const step_axis = {x: {ticks: {display: false}}, stacked: true};
  return {
    throughput: make_chart(find("throughput"), [{label: "generated", hue: "accent"}, {label: "of prompts, computed", hue: "prompt_lookup"}],
                           {type: "line", x: {ticks: {display: false}}}),
    step_times: make_chart(find("step_times"), [{label: "forward pass", hue: "prompt_lookup"}, {label: "sampling", hue: "suffix"},
                                                {label: "scheduling", hue: "recycling"}, {label: "messages", hue: "draft_model"}], step_axis),
    step_rows: make_chart(find("step_rows"), [{label: "prompt", hue: "prompt_lookup"}, {label: "decoding", hue: "accent"},
                                              {label: "drafted, stood", hue: "suffix"}, {label: "drafted, fell", hue: "suffix", alpha: .3}], step_axis),
    drafters: make_chart(find("drafters"), [{label: "stood", hue: "suffix"}, {label: "fell", hue: "suffix", alpha: .3}],
                         {stacked: true, horizontal: true}),
    similarities: make_chart(find("similarities"), [{label: "left alone", hue: "model"}, {label: "drafted from", hue: "prompt_lookup"},
                                                    {label: "drafted from and compared", hue: "fair"}, {label: "served", hue: "good"}],
                             {stacked: true, x: {title: "similarity of the nearest stored question, up to"}, y: {ticks: {precision: 0}}}),
    ttft: make_chart(find("ttft"), [{label: "requests", hue: "accent"}], {legend: false, y: {ticks: {precision: 0}}}),
    itl: make_chart(find("itl"), [{label: "steps", hue: "accent"}], {legend: false, y: {ticks: {precision: 0}}}),
  };
}

// ---- tiles

function tile(name, value, unit = "") {
  return make("div", {}, make("dt", {}, name), make("dd", {}, value, unit && make("small", {}, unit)));
}

function median(values) {
  if (!values.length) return null;
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1];
}

function show_tiles(frame) {
  const rate = rates.at(-1) ?? {output: 0, prefill: 0};
  const drafted = steps.reduce((n, step) => n + step.drafted, 0), accepted = steps.reduce((n, step) => n + step.accepted, 0);
  const pages = frame.kv.pages, totals = frame.totals, hits = Object.values(frame.cache.hits).reduce((a, b) => a + b, 0);
  const step_ms = median(steps.map(total_ms));
  find("tiles").replaceChildren(
    tile("generating", String(frame.running)), tile("waiting", String(frame.waiting)),
    tile("tokens a second", rate.output.toFixed(rate.output < 10 ? 1 : 0)),
    tile("median step", step_ms === null ? "–" : step_ms.toFixed(1), "ms"),
    tile("drafts stand", percent(accepted, drafted)),
    tile("prompt cached", percent(totals.prompt_tokens_found, totals.prompt_tokens_queried)),
    tile("KV in use", percent(pages.pinned + pages.owned, pages.total)),
    tile("from cache", amount(hits), `of ${amount(totals.requests)}`));
}

// ---- what changes over time

const total_ms = step => step.forward_ms + step.sampling_ms + step.scheduling_ms + step.messages_ms;

function remember(frame) {
  const now = {at_ms: frame.now_ms, output: frame.totals.output_tokens, prefill: frame.totals.prefill_rows};
  const before = history[Math.max(0, history.length - 2)]; // over two intervals: steps are long
  if (before && now.at_ms > before.at_ms) {
    const seconds = (now.at_ms - before.at_ms) / 1000;
    rates.push({output: Math.max(0, now.output - before.output) / seconds, prefill: Math.max(0, now.prefill - before.prefill) / seconds});
    rates = rates.slice(-n_points);
  }
  history = [...history.slice(-2), now];
  steps = [...steps, ...frame.steps].slice(-n_bars);
}

const padded = (values, n) => [...Array(Math.max(0, n - values.length)).fill(null), ...values];

function show_lines() {
  const ages = Array.from({length: n_points}, (_, i) => `${((n_points - 1 - i) * interval_ms / 1000).toFixed(1)} s ago`);
  draw(charts.throughput, ages, padded(rates.map(rate => rate.output), n_points), padded(rates.map(rate => rate.prefill), n_points));
  const names = padded(steps.map(step => `step ${step.n}`), n_bars).map(name => name ?? "");
  const column = value => padded(steps.map(value), n_bars);
  draw(charts.step_times, names, ...["forward_ms", "sampling_ms", "scheduling_ms", "messages_ms"].map(part => column(step => step[part])));
  draw(charts.step_rows, names, column(step => step.prefill), column(step => step.rows - step.prefill - step.drafted),
       column(step => step.accepted), column(step => step.drafted - step.accepted));
}

// ---- generations

function show_generations(frame) {
  find("generations_note").textContent = `${frame.running} running, ${frame.waiting} waiting`;
  const longest = Math.max(1, ...frame.generations.map(one => one.prompt + one.output));
  const rows = frame.generations.map(one => {
    const done = Math.min(one.prompt, one.computed + one.rows), part = n => `${100 * n / longest}%`;
    const computed = make("i.computed"), to_do = make("i"), made = make("i.made");
    computed.style.width = part(done);
    to_do.style.width = part(one.prompt - done);
    made.style.width = part(one.output);
    return make("div.generation", {title: `${one.prompt} tokens of prompt, ${one.output} generated, ${one.rows} rows in the last step`},
                make("span", {}, `#${one.n % 1e6}`), make("div.meter", {}, computed, to_do, made),
                make("span", {}, one.output ? `${one.output} tokens${one.drafted ? `, +${one.accepted}/${one.drafted}` : ""}` : `prompt ${percent(done, one.prompt)}`));
  });
  find("generations").replaceChildren(...(rows.length ? rows : [make("p.empty", {}, "Nobody asks for anything at the moment.")]));
}

// ---- memory

function show_memory(kv) {
  const {pages, page_bytes, tree} = kv;
  const states = [["owned", "of one generation alone"], ["pinned", "shared, in use"], ["cached", "shared, may go"], ["free", "free"]];
  find("pool").replaceChildren(...states.map(([state]) => {
    const part = make(`i.${state}`, {title: `${state}: ${pages[state]} pages`});
    part.style.width = `${pages.total ? 100 * pages[state] / pages.total : 0}%`;
    return part;
  }));
  let keys = find("pool").nextElementSibling;
  if (!keys.matches(".keys")) {
    keys = make("ul.keys");
    find("pool").after(keys);
  }
  keys.replaceChildren(...states.map(([state, name]) => make(`li.${state}`, {}, `${name}: ${pages[state]}`)));
  find("pool_note").textContent = `${pages.total} pages, ${size(pages.total * page_bytes)}`;
  find("tree_note").textContent = tree ? `${tree.prefixes} stretches, deepest ${tree.deepest} tokens, ${amount(tree.evicted_pages)} pages evicted` : "";
  draw_tree(find("tree"), tree);
}

// ---- totals

function show_drafters(drafters) {
  draw(charts.drafters, drafters.map(one => `${origin_name(one.drafter)} (${percent(one.accepted, one.drafted)})`),
       drafters.map(one => one.accepted), drafters.map(one => one.drafted - one.accepted));
}

function show_cache(cache) {
  const {hits, verdicts} = cache;
  find("cache_note").textContent = `${amount(cache.lookups)} lookups: ${hits.exact} the same request, ${hits.semantic} similar, ${hits.flight} joined; ` +
    `${amount(cache.entries)} answers, ${size(cache.bytes)}; compared: ${verdicts.same} would have done, ${verdicts.different} not`;
  const uses = ["ignored", "drafted", "compared", "served"].map(use => cache.similarity[use]);
  draw(charts.similarities, [...uses[0].bounds.map(String), "1"], ...uses.map(histogram => histogram.counts));
}

// The bound below which so many of the observations lie, between the buckets' bounds in proportion.
export function quantile({bounds, counts}, share) {
  const n = counts.reduce((a, b) => a + b, 0);
  if (!n) return null;
  let below = 0;
  for (let i = 0; i < counts.length; ++i) {
    if (below + counts[i] >= share * n) {
      if (i === bounds.length) return bounds.at(-1);
      const from = i ? bounds[i - 1] : 0;
      return from + (bounds[i] - from) * (share * n - below) / counts[i];
    }
    below += counts[i];
  }
  return bounds.at(-1);
}

function show_latency(name, histogram) {
  const {bounds, counts} = histogram;
  const first = counts.findIndex(n => n > 0), last = counts.findLastIndex(n => n > 0);
  const from = Math.max(0, first - 1), to = Math.min(counts.length, last + 2);
  const labels = [...bounds.map(bound => `≤ ${duration(bound)}`), `> ${duration(bounds.at(-1))}`];
  draw(charts[name], first < 0 ? [] : labels.slice(from, to), first < 0 ? [] : counts.slice(from, to));
  const [half, most] = [quantile(histogram, .5), quantile(histogram, .95)];
  find(`${name}_note`).textContent = half === null ? "" : `p50 ${duration(half)}, p95 ${duration(most)}`;
}

// ---- the stream

export function take(frame) {
  if (frame.type === "error") return lost(frame.error.message);
  if (frame.type !== "watched") return;
  find("watch_status").textContent = "";
  charts ??= make_charts();
  remember(frame);
  show_tiles(frame);
  show_lines();
  show_generations(frame);
  show_memory(frame.kv);
  show_drafters(frame.drafters);
  show_cache(frame.cache);
  show_latency("ttft", frame.latency.ttft_s);
  show_latency("itl", frame.latency.itl_s);
}

function lost(why) {
  stream = null;
  find("watch_status").textContent = why;
  history = [];
  if (!find("watch").hidden) retry = setTimeout(show, 2000);
}

// Nobody looks at a page that is hidden.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) hide();
  else if (!find("watch").hidden) show();
});

export function show() {
  hide();
  steps = [];
  stream = open_stream({type: "watch", interval_ms}, take, lost);
}

export function hide() {
  clearTimeout(retry);
  if (stream) cancel(stream);
  stream = null;
}
