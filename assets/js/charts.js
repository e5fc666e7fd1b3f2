// A machine's charts, loaded only where they are. Figures come from history.json; marks show what was changed.
import uPlot from "uplot";

/** Helpers of the main bundle, handed in: importing them would split it in two and cost a round trip. */
let json;
let bytes;

const rate = (n) => `${bytes(n)}/s`;
const share = (n) => `${n.toFixed(n > 0 && n < 10 ? 1 : 0)}\u00a0%`;

/** What each figure shows: columns of a point (1 cpu, 2 memory, 3 net in, 4 net out, 5 read, 6 write). */
const KINDS = {
  cpu: { columns: [["CPU", 1]], show: share, scale: 100, unit: (d) => `% of ${d.maxcpu} cores`, max: () => 100 },
  mem: { columns: [["Memory", 2]], show: (n) => bytes(n), unit: (d) => `of ${bytes(d.maxmem)}`, max: (d) => d.maxmem },
  net: { columns: [["In", 3], ["Out", 4]], show: rate, unit: () => "per second" },
  disk: { columns: [["Read", 5], ["Write", 6]], show: rate, unit: () => "per second" },
};

export function startCharts(part, helpers) {
  ({ json, bytes } = helpers);
  const note = part.querySelector("[data-chart-note]");
  let range = new URL(location.href).searchParams.get("range") ?? "hour";
  let plots = [];
  let data = null;

  const draw = () => {
    for (const plot of plots) plot.destroy();
    plots = data?.points.length ? [...part.querySelectorAll("[data-chart]")].map((f) => figure(f, data)) : [];
  };
  const load = async () => {
    for (const button of part.querySelectorAll("[data-range]")) button.setAttribute("aria-pressed", String(button.dataset.range === range));
    try {
      data = await json(`${part.dataset.charts}?range=${range}`);
      note.textContent = !data.points.length ? "Proxmox has no figures for this time yet."
        : data.marks.length ? "Dots show what was changed; open one to see why." : "";
    } catch {
      note.textContent = "The figures can't be read right now: Proxmox does not answer.";
    }
    draw();
  };
  part.addEventListener("click", (event) => {
    const button = event.target.closest("[data-range]");
    if (!button) return;
    range = button.dataset.range;
    const url = new URL(location.href);
    url.searchParams.set("range", range);
    history.replaceState(null, "", url);
    load();
  });
  document.addEventListener("steward:theme", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  let width = part.clientWidth;
  new ResizeObserver(() => {
    if (Math.abs(part.clientWidth - width) < 8) return;
    width = part.clientWidth;
    draw();
  }).observe(part);
  setInterval(() => document.hidden || (range === "hour" && load()), 60_000);
  load();
}

/** A colour token as the canvas needs it: light-dark() resolved. */
function colour(name) {
  const probe = document.createElement("i");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

const faint = (c) => `rgba(${c.match(/[\d.]+/g).slice(0, 3).join(", ")}, 0.1)`;

function figure(element, data) {
  const kind = KINDS[element.dataset.chart];
  const place = element.querySelector(".plot");
  element.querySelector("[data-unit]").textContent = kind.unit(data);
  const times = data.points.map((p) => p[0]);
  const values = kind.columns.map(([, n]) => data.points.map((p) => (p[n] === null ? null : p[n] * (kind.scale ?? 1))));
  const lines = [colour("--accent"), colour("--busy")];
  const soft = colour("--soft");
  const grid = { stroke: colour("--line"), width: 1 };
  const axis = { stroke: soft, grid, ticks: { show: false }, font: "11px system-ui, sans-serif", gap: 4 };
  const top = kind.max?.(data);
  return new uPlot(
    {
      width: place.clientWidth,
      height: 168,
      padding: [12, 18, 0, 0],
      cursor: { sync: { key: "machine" }, points: { size: 6 } },
      legend: { live: true },
      scales: { y: { range: (_, __, max) => [0, top ?? Math.max(max * 1.15, 1024)] } },
      axes: [
        { ...axis, size: 26, space: 70, values: timeWords },
        { ...axis, size: 62, space: 34, values: (_, list) => list.map((v) => kind.show(v)), incrs: top > 1024 || !top ? steps() : undefined },
      ],
      series: [
        { value: (_, v) => (v === null ? "–" : new Date(v * 1000).toLocaleString(undefined, { dateStyle: "short", timeStyle: "short" })), label: "Time" },
        ...kind.columns.map(([label], n) => ({
          label,
          stroke: lines[n],
          width: 1.5,
          fill: n === 0 ? faint(lines[0]) : undefined,
          dash: n === 0 ? undefined : [5, 3],
          points: { show: false },
          value: (_, v) => (v === null ? "–" : kind.show(v)),
        })),
      ],
      hooks: { ready: [(plot) => marks(plot, data.marks)] },
    },
    [times, ...values],
    place,
  );
}

/** Round steps for amounts in bytes: powers of two. */
function steps() {
  return Array.from({ length: 50 }, (_, n) => 2 ** n);
}

const pad = (n) => String(n).padStart(2, "0");

function timeWords(plot, list) {
  const span = plot.scales.x.max - plot.scales.x.min;
  return list.map((seconds) => {
    const at = new Date(seconds * 1000);
    if (span <= 2 * 86400) return `${pad(at.getHours())}:${pad(at.getMinutes())}`;
    return at.toLocaleDateString(undefined, span > 90 * 86400 ? { month: "short", year: "2-digit" } : { day: "numeric", month: "short" });
  });
}

/** Dots above the plot, one for each change; they can be reached by keyboard. */
function marks(plot, list) {
  for (const [at, words, href] of list) {
    if (at < plot.scales.x.min || at > plot.scales.x.max) continue;
    const dot = document.createElement(href?.startsWith("/") ? "a" : "span");
    if (href?.startsWith("/")) dot.href = href;
    dot.className = "chart-mark";
    dot.dataset.tip = words;
    dot.setAttribute("aria-label", words);
    if (dot.tagName === "SPAN") dot.setAttribute("role", "img");
    dot.style.left = `${plot.valToPos(at, "x")}px`;
    plot.over.append(dot);
  }
}
