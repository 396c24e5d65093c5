// Chart.js with this page's look. Every chart follows the theme.

const charts = new Set();
const colour = name => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

// light-dark() has to be resolved by an element before a canvas can use it.
const probe = document.createElement("span");
probe.hidden = true;
document.documentElement.append(probe);
export function paint(name, alpha = 1) {
  probe.style.color = colour(name) ? `var(--${name})` : name;
  const [r, g, b] = getComputedStyle(probe).color.match(/[\d.]+/g);
  return `rgba(${r}, ${g}, ${b}, ${alpha})`;
}

function colours_of(type, {hue, alpha = 1}) {
  const painted = paint(hue, alpha);
  return {backgroundColor: type === "line" ? paint(hue, .12) : painted, borderColor: painted};
}

function style(chart) {
  const {scales, plugins} = chart.options;
  for (const scale of Object.values(scales)) {
    scale.ticks.color = paint("faint");
    scale.grid.color = paint("line");
    if (scale.title) scale.title.color = paint("faint");
  }
  plugins.legend.labels.color = paint("faint");
  for (const dataset of chart.data.datasets) Object.assign(dataset, colours_of(chart.config.type, dataset));
}

export function restyle_charts() {
  for (const chart of charts) {
    style(chart);
    chart.update("none");
  }
}

function scale(more = {}) {
  const {title, ticks, ...others} = more;
  return {
    beginAtZero: true,
    border: {display: false},
    ticks: {maxRotation: 0, autoSkipPadding: 12, font: {size: 11}, ...ticks},
    grid: {drawTicks: false, drawBorder: false, display: others.axis !== "x"},
    ...(title ? {title: {display: true, text: title, font: {size: 11}}} : {}),
    ...others,
  };
}

// series: [{label, hue, alpha?}]; options: {type, stacked, horizontal, x, y, legend, tooltip}
export function make_chart(canvas, series, {type = "bar", stacked = false, horizontal = false, x = {}, y = {}, legend = true, tooltip = {}} = {}) {
  const chart = new Chart(canvas, {
    type,
    data: {
      labels: [],
      datasets: series.map(one => ({
        data: [], borderWidth: type === "line" ? 1.5 : 0, pointRadius: 0, pointHitRadius: 8, tension: .25, fill: type === "line",
        categoryPercentage: 1, barPercentage: horizontal ? .7 : .92, ...one, ...colours_of(type, one),
      })),
    },
    options: {
      animation: false, maintainAspectRatio: false, indexAxis: horizontal ? "y" : "x",
      interaction: {mode: "index", intersect: false, axis: horizontal ? "y" : "x"},
      scales: {x: scale({axis: "x", stacked, ...x}), y: scale({axis: "y", stacked, ...y})},
      plugins: {legend: {display: legend, position: "bottom", labels: {boxWidth: 10, boxHeight: 10, font: {size: 11}}}, tooltip},
    },
  });
  charts.add(chart);
  style(chart);
  chart.update("none");
  return chart;
}

export function show(chart, labels, ...columns) {
  chart.data.labels = labels;
  columns.forEach((column, i) => { chart.data.datasets[i].data = column; });
  chart.update("none");
}
