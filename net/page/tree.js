// The prefix tree as a picture: time runs to the right, a stretch of tokens without a fork is a bar, what follows it
// stands behind it. Colour tells how often it was found, red that it is in use.

import {make, make_svg} from "./dom.js";

const width = 640, row = 16, gap = 2;

// Gives each stretch its first row and its number of rows; those whose beginning is not shown come as roots.
function arrange(shown) {
  const by_id = new Map(shown.map(one => [one.id, {...one, children: []}]));
  const roots = [];
  for (const one of by_id.values()) (by_id.get(one.parent)?.children ?? roots).push(one);
  const order = list => list.sort((a, b) => b.hits - a.hits || b.tokens - a.tokens);
  const place = (one, at) => {
    one.row = at;
    one.n_rows = 0;
    for (const child of order(one.children)) one.n_rows += place(child, at + one.n_rows);
    return one.n_rows = Math.max(1, one.n_rows);
  };
  let n_rows = 0;
  for (const root of order(roots)) n_rows += place(root, n_rows);
  return {all: [...by_id.values()], n_rows};
}

export function draw_tree(into, tree) {
  if (!tree || !tree.shown.length) {
    into.replaceChildren(make("p.empty", {}, "No prefix is cached yet."));
    return;
  }
  const {all, n_rows} = arrange(tree.shown);
  const most_hits = Math.max(1, ...all.map(one => one.hits)), scale = width / Math.max(1, tree.deepest);
  const height = Math.min(n_rows, 12) * row, step = height / n_rows;
  const bars = all.map(one => {
    const bar = make_svg("rect", {
      x: (one.tokens - one.own) * scale, width: Math.max(2, one.own * scale - gap),
      y: one.row * step, height: Math.max(1, one.n_rows * step - (step > 6 ? gap : 0)), rx: Math.min(3, step / 4),
      opacity: (.25 + .75 * Math.log1p(one.hits) / Math.log1p(most_hits)).toFixed(2), class: one.users ? "used" : "",
    });
    bar.append(make_svg("title", {}, `tokens ${one.tokens - one.own} to ${one.tokens}; found ${one.hits} times` + (one.users ? `; used by ${one.users} now` : "")));
    return bar;
  });
  into.replaceChildren(make("ul.keys", {}, make("li.pinned", {}, "in use"), make("li.cached", {}, "not in use; the darker, the more often found")), make_svg("svg", {viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Prefix tree with ${tree.prefixes} stretches`}, ...bars));
}
