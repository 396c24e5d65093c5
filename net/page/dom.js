// Small helpers to make and find elements.

export const find = id => document.getElementById(id);

// make("p.note", {title: "…"}, "text", child, …); a property that is undefined is left out.
export function make(what, properties = {}, ...children) {
  const [name, ...classes] = what.split(".");
  const element = document.createElement(name);
  element.classList.add(...classes);
  for (const [property, value] of Object.entries(properties)) {
    if (value === undefined) continue;
    if (property === "data") Object.assign(element.dataset, value);
    else if (property in element) element[property] = value;
    else element.setAttribute(property, value);
  }
  element.append(...children);
  return element;
}

export function button(text, title, on_click) {
  return make("button", {type: "button", title, onclick: on_click}, text);
}

const svg_space = "http://www.w3.org/2000/svg";
export function make_svg(name, attributes = {}, ...children) {
  const element = document.createElementNS(svg_space, name);
  for (const [attribute, value] of Object.entries(attributes)) element.setAttribute(attribute, value);
  element.append(...children);
  return element;
}

export const percent = (part, whole) => whole > 0 ? `${(100 * part / whole).toFixed(part === whole ? 0 : 1)} %` : "–";

export function amount(n) {
  if (n < 10000) return String(n);
  return n < 1e6 ? `${(n / 1e3).toFixed(1)} k` : `${(n / 1e6).toFixed(1)} M`;
}

export function size(bytes) {
  return bytes < 1 << 30 ? `${(bytes / (1 << 20)).toFixed(bytes < 10 << 20 ? 1 : 0)} MiB` : `${(bytes / (1 << 30)).toFixed(1)} GiB`;
}

export function duration(seconds) {
  if (seconds < 0.01) return `${(1000 * seconds).toFixed(1)} ms`;
  return seconds < 1 ? `${(1000 * seconds).toFixed(0)} ms` : `${seconds.toFixed(1)} s`;
}
