// The table of machines: filter while typing, sort in place, select many, keyboard, columns, one menu for all
// rows, and live figures. The server's HTML (page/machines.rs) is the model; nothing is kept beside the page.
import { parse, fits } from "./filter.js";
import { step } from "./menu.js";
import { fragment, post } from "./net.js";
import { toast } from "./toast.js";

const text = (row, name) => row.querySelector(`.c-${name}`)?.textContent.trim() ?? "";
const idOf = (row) => row.id.slice(2);
const changed = new Set();
let timer = 0;
let table = null;

export function startMachines() {
  table = document.querySelector("#machines-table");
  startRowMenu();
  if (!table) return;
  startFilter(document.querySelector("#filter"));
  startSort();
  startSelection();
  startKeys();
  startColumns(document.querySelector("[data-columns]"));
  if (total() > rows().length) fetchAll();
}

const total = () => Number(table.dataset.total);

/** A large house comes in pages: the first one with the page, the others now, one after the other. */
async function fetchAll() {
  const sort = new URL(location.href).searchParams.get("sort") ?? "";
  const body = table.tBodies[0];
  const seen = new Set();
  for (let page = 1; ; page += 1) {
    const part = await fragment(`${table.dataset.rows}?${new URLSearchParams({ sort, page })}`);
    // Not now: the links to the other pages stay.
    if (!part) return;
    const fresh = [...part.querySelectorAll("tbody tr")];
    if (!fresh.length) break;
    for (const row of fresh) if (!document.getElementById(row.id)) row.hidden = true;
    body.append(...fresh.map((row) => document.getElementById(row.id) ?? document.importNode(row, true)));
    for (const row of fresh) seen.add(row.id);
    filterRows(document.querySelector("#filter").value);
    await new Promise((resolve) => setTimeout(resolve));
  }
  for (const row of rows()) if (!seen.has(row.id)) changed.add(idOf(row));
  if (changed.size) timer = setTimeout(fetchRows, 300);
  delete table.dataset.total;
  document.querySelector(".pager")?.remove();
  const sorted = table.tHead.querySelector("[aria-sort]");
  if (sorted) sortRows(sorted.querySelector("a").dataset.sort, sorted.getAttribute("aria-sort") === "descending");
  filterRows(document.querySelector("#filter").value);
}

const rows = () => [...table.tBodies[0].rows];

// Filter.

/** What rows say, read once: a changed row is another element. */
const described = new WeakMap();

function describe(row) {
  if (!described.has(row)) described.set(row, read(row));
  return described.get(row);
}

function read(row) {
  const name = row.querySelector(".c-name a").textContent.toLowerCase();
  const small = row.querySelector(".c-name small")?.textContent.trim().toLowerCase() ?? "";
  const tags = [...row.querySelectorAll(".c-tags .tag")].map((t) => t.textContent.toLowerCase());
  const [status, node] = [text(row, "state"), text(row, "node")].map((t) => t.toLowerCase());
  const owner = text(row, "owner").replace("–", "").toLowerCase();
  const id = small.replace(/\D/g, "");
  const kind = small.startsWith("ct") ? ["container", "ct"] : ["vm"];
  const fields = { name: [name], status: [status], state: [status], node: [node], owner: owner ? [owner] : [], tag: tags, id: [id], vmid: [id], kind };
  return { all: [name, node, owner, status, id, ...tags], fields };
}

function startFilter(input) {
  const apply = () => {
    filterRows(input.value);
    const url = new URL(location.href);
    if (input.value.trim()) url.searchParams.set("q", input.value.trim());
    else url.searchParams.delete("q");
    history.replaceState(null, "", url);
  };
  input.addEventListener("input", apply);
  input.form.addEventListener("submit", (event) => {
    event.preventDefault();
    apply();
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && input.value) {
      input.value = "";
      apply();
    } else if (event.key === "ArrowDown") {
      event.preventDefault();
      visible()[0]?.querySelector(".c-name a").focus();
    }
  });
}

function filterRows(value) {
  const words = parse(value);
  let shown = 0;
  for (const row of rows()) {
    const fit = fits(words, describe(row));
    if (row.hidden === fit) row.hidden = !fit;
    if (fit) shown += 1;
    else unselect(row);
  }
  count(shown);
}

function count(shown) {
  document.querySelector("#filter-count").textContent = `${shown} of ${total() || rows().length}`;
  document.querySelector(".no-match").hidden = shown > 0;
  tellSelected();
}

const visible = () => rows().filter((row) => !row.hidden);

// Sort.

/** The number behind a cell's words; a cell without one gives NaN. */
const amount = (row, name) => Number.parseFloat(row.querySelector(`.c-${name}`)?.dataset.sort);

const VALUES = {
  status: (row) => text(row, "state"),
  name: (row) => row.querySelector(".c-name a").textContent,
  owner: (row) => text(row, "owner"),
  node: (row) => text(row, "node"),
  cpu: (row) => amount(row, "cpu"),
  mem: (row) => amount(row, "mem"),
  net: (row) => amount(row, "net"),
  disk: (row) => amount(row, "disk"),
  uptime: (row) => amount(row, "uptime"),
};
const order = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

/** What has no value goes last in either order. */
function compare(a, b, sign) {
  if (typeof a === "string") return sign * order.compare(a, b);
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
  return sign * (a - b);
}

function sortRows(key, down) {
  const value = VALUES[key];
  if (!value) return;
  const keyed = rows().map((row) => [value(row), row]);
  keyed.sort(([a], [b]) => compare(a, b, down ? -1 : 1));
  table.tBodies[0].append(...keyed.map(([, row]) => row));
}

function startSort() {
  table.tHead.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-sort]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const head = link.closest("th");
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const th of table.tHead.querySelectorAll("[aria-sort]")) th.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    sortRows(link.dataset.sort, down);
    const url = new URL(location.href);
    url.searchParams.set("sort", (down ? "-" : "") + link.dataset.sort);
    history.replaceState(null, "", url);
  });
}

// Selection.

const box = (row) => row.querySelector(".c-check input");

function unselect(row) {
  const input = box(row);
  if (input?.checked) input.checked = false;
}

function startSelection() {
  const all = table.querySelector("[data-select-all]");
  let last = null;
  all.addEventListener("change", () => {
    for (const row of visible()) box(row).checked = all.checked;
    tellSelected();
  });
  table.addEventListener("click", (event) => {
    if (!event.target.matches("tbody .c-check input")) return;
    const row = event.target.closest("tr");
    if (event.shiftKey && last?.isConnected) selectRange(last, row, event.target.checked);
    last = row;
    tellSelected();
  });
  table.closest("form").addEventListener("reset", () => setTimeout(tellSelected));
}

function selectRange(from, to, checked) {
  const list = visible();
  const [a, b] = [list.indexOf(from), list.indexOf(to)].sort((x, y) => x - y);
  for (const row of list.slice(Math.max(a, 0), b + 1)) box(row).checked = checked;
}

function tellSelected() {
  const list = visible();
  const n = list.filter((row) => box(row).checked).length;
  const all = table.querySelector("[data-select-all]");
  all.checked = n > 0 && n === list.length;
  all.indeterminate = n > 0 && n < list.length;
  document.querySelector("[data-selected]").textContent = n === 1 ? "1 machine selected" : `${n} machines selected`;
}

// Keyboard: up and down between rows, Enter opens, space selects.

function startKeys() {
  table.addEventListener("keydown", (event) => {
    const row = event.target.closest("tbody tr");
    if (!row) return;
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by) {
      const list = visible();
      const next = list[list.indexOf(row) + by];
      event.preventDefault();
      if (next) next.querySelector(".c-name a").focus();
      else if (by < 0) document.querySelector("#filter").focus();
    } else if (event.key === " " && event.target.matches(".c-name a")) {
      event.preventDefault();
      box(row).checked = !box(row).checked;
      tellSelected();
    }
  });
}

// Columns.

function startColumns(form) {
  if (!form) return;
  form.querySelector("button").hidden = true;
  form.addEventListener("change", () => {
    const boxes = [...form.querySelectorAll("[name=show]")];
    table.dataset.hide = boxes.filter((b) => !b.checked).map((b) => b.value).join(" ");
    post(form.action, boxes.filter((b) => b.checked).map((b) => ["show", b.value]));
  });
}

// One menu for all rows.

function startRowMenu() {
  const menu = document.querySelector("#row-menu");
  if (!menu) return;
  let opener = null;
  const close = () => {
    menu.hidden = true;
    opener?.setAttribute("aria-expanded", "false");
    opener = null;
  };
  document.addEventListener("click", (event) => {
    const more = event.target.closest?.(".more");
    if (!more) {
      if (!menu.hidden && !menu.contains(event.target)) close();
      return;
    }
    event.preventDefault();
    const again = opener === more;
    close();
    if (again) return;
    opener = more;
    openRowMenu(menu, more);
  });
  menu.addEventListener("submit", async (event) => {
    event.preventDefault();
    // Not `menu.action`: that is the buttons of this name.
    const url = menu.getAttribute("action");
    const verb = event.submitter;
    const name = menu.dataset.name;
    close();
    if (await post(url, [["action", verb.value], ["sure", "yes"]])) toast("ok", `${verb.textContent.trim()}: ${name} is asked to.`);
  });
  document.addEventListener("keydown", (event) => {
    if (menu.hidden) return;
    if (event.key === "Escape") {
      const back = opener;
      close();
      back?.focus();
    } else if (menu.contains(event.target) && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      step(menu, event.key === "ArrowDown" ? 1 : -1);
    }
  });
  addEventListener("scroll", () => menu.hidden || close(), { passive: true });
}

function openRowMenu(menu, more) {
  const row = more.closest("tr");
  const status = text(row, "state");
  menu.setAttribute("action", `/machines/${idOf(row)}/power`);
  menu.dataset.name = row.querySelector(".c-name a").textContent;
  menu.querySelector("[data-open]").href = more.href;
  for (const button of menu.querySelectorAll("[data-when]")) button.hidden = !button.dataset.when.split(" ").includes(status);
  menu.hidden = false;
  more.setAttribute("aria-expanded", "true");
  const at = more.getBoundingClientRect();
  const host = menu.offsetParent?.getBoundingClientRect() ?? { left: 0, top: 0 };
  const left = Math.max(8, Math.min(at.right - menu.offsetWidth, innerWidth - menu.offsetWidth - 8));
  const below = at.bottom + menu.offsetHeight + 8 < innerHeight;
  menu.style.left = `${left - host.left}px`;
  menu.style.top = `${(below ? at.bottom + 4 : at.top - menu.offsetHeight - 4) - host.top}px`;
  menu.querySelector("a").focus();
}

// Live figures and rows.

/** Called for every event of the stream. */
export function machineEvents(kind, data) {
  if (kind === "tick") {
    for (const row of data.rows ?? []) patch(...row);
  } else if (table && (kind === "guest" || kind === "reset")) {
    if (kind === "reset") for (const row of rows()) changed.add(idOf(row));
    else if (data.id) changed.add(data.id);
    clearTimeout(timer);
    timer = setTimeout(fetchRows, 300);
  }
}

function patch(id, status, cpu, mem, maxmem, net) {
  const row = document.getElementById(`g-${id}`);
  if (!row) return;
  const now = row.querySelector(".state");
  // Another state changes more than figures: the whole row comes anew.
  if (now && now.textContent !== status && now.textContent !== "template" && now.textContent !== "making") {
    if (table) machineEvents("guest", { id });
    else now.textContent = status;
  }
  const cell = (name, value) => {
    const found = row.querySelector(`.c-${name}`);
    if (found && value !== null) found.dataset.sort = value;
    else if (found) delete found.dataset.sort;
    return found;
  };
  figure(cell("cpu", cpu), cpu, cpu === null ? "" : percent(cpu));
  const network = cell("net", net);
  if (network) network.textContent = net === null ? "–" : `${bytes(net)}/s`;
  figure(cell("mem", mem), mem === null || !maxmem ? null : mem / maxmem, mem === null ? "" : bytes(mem));
}

function figure(cell, share, words) {
  if (!cell || share === null || share === undefined) return;
  const rect = cell.querySelector("rect");
  const label = cell.querySelector("b");
  if (!rect || !label || label.textContent === words) return;
  label.textContent = words;
  rect.setAttribute("width", String(Math.round(Math.min(1, Math.max(0, share)) * 100)));
  rect.parentNode.setAttribute("class", share > 0.9 ? "bar-meter bad" : share > 0.75 ? "bar-meter warn" : "bar-meter");
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** As in src/base/amounts.rs. */
export function percent(share) {
  const p = share * 100;
  return p > 0 && p < 0.5 ? "<1\u00a0%" : `${Math.round(p)}\u00a0%`;
}

export function bytes(n) {
  let unit = 0;
  while (n >= 1023.5 && unit < UNITS.length - 1) {
    n /= 1024;
    unit += 1;
  }
  const digits = unit > 0 && n < 99.95 && Math.round(n * 10) % 10 > 0 ? 1 : 0;
  return `${n.toFixed(digits)}\u00a0${UNITS[unit]}`;
}

async function fetchRows() {
  const ids = [...changed].slice(0, 50);
  for (const id of ids) changed.delete(id);
  const page = await fragment(`${table.dataset.rows}?ids=${ids.join(",")}`);
  if (page) for (const id of ids) swap(id, page.getElementById(`g-${id}`));
  filterRows(document.querySelector("#filter").value);
  if (changed.size) timer = setTimeout(fetchRows, 300);
}

function swap(id, fresh) {
  const old = document.getElementById(`g-${id}`);
  if (!fresh) {
    old?.remove();
    return;
  }
  const row = document.importNode(fresh, true);
  if (!old) {
    table.tBodies[0].prepend(row);
    return;
  }
  const focused = old.contains(document.activeElement) ? document.activeElement.className || document.activeElement.name : null;
  box(row).checked = box(old).checked;
  old.replaceWith(row);
  if (focused === "more") row.querySelector(".more").focus();
  else if (focused === "id") box(row).focus();
  else if (focused !== null) row.querySelector(".c-name a").focus();
}
