// Begins here: which view is shown, the theme, the key.

import {headers, use_key} from "./connection.js";
import {find} from "./dom.js";
import {restyle_charts} from "./charts.js";
import * as cache from "./cache.js";
import * as play from "./play.js";
import * as watch from "./watch.js";

const views = {play, watch, cache};
let shown = null;

function show_view() {
  const name = location.hash.slice(1) in views ? location.hash.slice(1) : "play";
  if (name === shown) return;
  views[shown]?.hide?.();
  shown = name;
  for (const one of Object.keys(views)) find(one).hidden = one !== name;
  for (const link of document.querySelectorAll("nav a"))
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  document.title = name === "play" ? "Souffleur" : `${name[0].toUpperCase()}${name.slice(1)} · Souffleur`;
  views[name].show?.();
}

const themes = ["auto", "light", "dark"];
function use_theme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  localStorage.setItem("theme", theme);
  find("theme").textContent = {auto: "◐ auto", light: "☀ light", dark: "☾ dark"}[theme];
  find("theme").setAttribute("aria-label", `Theme: ${theme}`);
  restyle_charts();
}
find("theme").onclick = () => {
  const now = localStorage.getItem("theme") ?? "auto";
  use_theme(themes[(themes.indexOf(now) + 1) % themes.length]);
};
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", restyle_charts);

async function look_who_is_there() {
  const key = find("key").value;
  const status = find("model");
  try {
    const answer = await fetch("v1/models", {headers: headers()});
    const is_known = answer.status !== 401;
    find("key_label").hidden = is_known && !key;
    status.textContent = is_known ? (await answer.json()).data[0].id
      : key ? "the key is not one of this server's" : "asks for a key";
  } catch {
    status.textContent = "the server does not answer";
  }
}
find("key").onchange = () => {
  use_key(find("key").value);
  look_who_is_there();
  views[shown].show?.();
};

document.addEventListener("keydown", event => {
  const types = event.target.closest?.("input, textarea, select");
  if (event.key === "/" && !types && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    location.hash = "play";
    show_view();
    find("prompt").focus();
  }
});

use_theme(themes.includes(localStorage.getItem("theme")) ? localStorage.getItem("theme") : "auto");
addEventListener("hashchange", show_view);
show_view();
look_who_is_there();
