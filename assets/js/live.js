// Keeps open pages fresh. The server sends only what changed (`/events`, server-sent events, replayed after a
// cut by Last-Event-ID, which the browser sends by itself); parts marked data-live are fetched again and merged.
import { Idiomorph } from "idiomorph/dist/idiomorph.esm.js";
import { showCopy } from "./copy.js";
import { machineEvents } from "./machines.js";
import { fragment, json } from "./net.js";
import { refreshTimes } from "./time.js";

/** A part is fetched at most this often, ms. */
const PAUSE = 400;
const due = new Map();
let timer = 0;
/** While the stream is cut, figures are asked for this often, ms. */
const FALLBACK = 5000;
let cut = false;
/** How nodes and clusters are doing, as this page was made with or told since. */
let told = "";
let asking = 0;

export function startLive() {
  const after = document.body.dataset.liveStream;
  if (after === undefined) return;
  follow(document);
  told = document.querySelector("#health .words")?.textContent ?? "";
  // What happened since the page was made comes first.
  connect(false, `/events?after=${after}`);
  document.addEventListener("visibilitychange", () => document.hidden || run());
}

/** `again`: the stream was lost for good, so the server can't say what was missed. */
function connect(again, url = "/events") {
  const source = new EventSource(url);
  let lost = 0;
  source.addEventListener("open", () => {
    clearTimeout(lost);
    lost = 0;
    clearTimeout(asking);
    if (again || cut) refresh("reset", {});
    again = cut = false;
  });
  source.addEventListener("error", () => {
    // Each try of the browser's own ends here too; the first one counts.
    lost ||= setTimeout(sayCut, 4000);
    // The browser tries again by itself unless the server refused (a restart behind a proxy does that).
    if (source.readyState === EventSource.CLOSED) setTimeout(() => connect(true), 5000);
  });
  source.addEventListener("change", (event) => {
    const subject = parse(event.data);
    refresh(subject.kind, subject);
  });
  for (const name of ["tick", "reset"]) source.addEventListener(name, (event) => refresh(name, parse(event.data)));
  source.addEventListener("health", (event) => {
    // A node or a cluster went away or came back: what is shown of its machines is another thing now.
    const state = parse(event.data);
    health(state);
    if (state.text !== told) refresh("health", {});
    told = state.text;
  });
  addEventListener("pagehide", () => source.close());
}

/** An open page must not look fresh when it is not; figures may still be had by asking for them. */
function sayCut() {
  cut = true;
  clearTimeout(asking);
  ask();
}

async function ask() {
  try {
    const { guests } = await json("/api/v1/figures");
    if (!cut) return;
    health({ level: "warn", text: "Live connection lost; asking every 5 s" });
    refresh("tick", { rows: guests.map((g) => [g.id, g.status, g.cpu, g.memory, g.memory_max, g.network]) });
  } catch {
    if (cut) health({ level: "warn", text: "Connection lost, trying again" });
  }
  if (cut) asking = setTimeout(ask, FALLBACK);
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

function health({ level, text, jobs }) {
  const dot = document.querySelector("#health");
  if (dot && text) {
    dot.className = `health ${level}`;
    dot.querySelector(".words").textContent = text;
  }
  const count = document.querySelector("#job-count");
  if (count && Number.isInteger(jobs)) {
    count.hidden = jobs === 0;
    count.firstChild.textContent = String(jobs);
  }
}

function refresh(kind, data) {
  machineEvents(kind, data);
  for (const part of document.querySelectorAll("[data-live]")) {
    const listens = part.dataset.on.split(" ");
    if (kind === "reset" || listens.includes(kind) || (data.id && listens.includes(`${kind}:${data.id}`))) due.set(part.id, part);
  }
  timer ||= setTimeout(run, PAUSE);
}

async function run() {
  clearTimeout(timer);
  timer = 0;
  if (document.hidden || !due.size) return;
  const parts = [...due.values()];
  due.clear();
  const byUrl = Map.groupBy ? Map.groupBy(parts, urlOf) : group(parts);
  for (const [url, list] of byUrl) {
    const page = await fragment(url);
    if (!page) continue;
    for (const part of list) replace(part, page);
    for (const id of ["health", "job-count"]) replace(document.getElementById(id), page);
  }
}

const urlOf = (part) => part.dataset.live || location.href;

function group(parts) {
  const map = new Map();
  for (const part of parts) map.set(urlOf(part), [...(map.get(urlOf(part)) ?? []), part]);
  return map;
}

function replace(part, page) {
  const fresh = part && page.getElementById(part.id);
  if (!part?.isConnected || !fresh) return;
  refreshTimes(fresh);
  showCopy(fresh);
  const atEnd = part.scrollHeight - part.scrollTop - part.clientHeight < 24;
  Idiomorph.morph(part, fresh, {
    morphStyle: "outerHTML",
    ignoreActiveValue: true,
    callbacks: { beforeAttributeUpdated: keep },
  });
  if (atEnd) follow(part.parentNode ?? document);
  document.dispatchEvent(new Event("fresh"));
}

/** What the person did to the page stays: open menus, ticked boxes, sent marks. */
function keep(name, element) {
  if (name === "open" && element.tagName === "DETAILS") return false;
  if ((name === "checked" || name === "value") && element.tagName === "INPUT") return false;
  if (name === "data-sent" || name === "data-agreed") return false;
  return true;
}

/** Logs stay at their end while the person has not scrolled up. */
function follow(root) {
  for (const log of root.querySelectorAll("[data-follow]")) log.scrollTop = log.scrollHeight;
}
