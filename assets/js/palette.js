// The search field in the bar is also the command palette: Ctrl-K or / goes there, machines, jobs and pages
// appear while typing. Without script it is a search for machines.
import { json } from "./net.js";

const PAGES = ".rail a[href]:not(.brand), .who a[href]";
const ICONS = { machine: "machine", job: "job", page: "page", user: "person", action: "command" };

export function startPalette() {
  const input = document.querySelector("#find");
  const list = document.querySelector("#palette");
  if (!input || !list) return;
  input.setAttribute("role", "combobox");
  input.setAttribute("aria-expanded", "false");
  input.setAttribute("aria-controls", "palette");
  input.setAttribute("aria-autocomplete", "list");
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Found");
  new Palette(input, list);
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
    const wanted = (event.key === "k" && (event.ctrlKey || event.metaKey)) || (event.key === "/" && !typing);
    if (!wanted) return;
    event.preventDefault();
    input.focus();
    input.select();
  });
}

/** Pages and commands that this person has, read from the frame. */
function places() {
  const seen = new Map();
  for (const link of document.querySelectorAll(PAGES)) {
    const title = (link.querySelector("span") ?? link).textContent.trim();
    const href = link.getAttribute("href");
    if (!seen.has(href)) seen.set(href, { kind: "page", title, hint: "page", href });
  }
  const commands = [{ kind: "action", title: "New machine", hint: "command", href: "/machines/new" }];
  return [...seen.values(), ...commands];
}

class Palette {
  constructor(input, list) {
    Object.assign(this, { input, list, chosen: 0, timer: 0, abort: null });
    input.addEventListener("focus", () => this.search());
    input.addEventListener("input", () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.search(), 90);
    });
    input.addEventListener("keydown", (event) => this.key(event));
    input.addEventListener("blur", () => setTimeout(() => this.close(), 150));
    list.addEventListener("mousedown", (event) => event.preventDefault());
  }

  async search() {
    const text = this.input.value.trim();
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    const here = places().filter((p) => words.every((w) => p.title.toLowerCase().includes(w)));
    this.show(here, text);
    if (!text) return;
    this.abort?.abort();
    this.abort = new AbortController();
    try {
      const { items } = await json(`/search.json?q=${encodeURIComponent(text)}`, this.abort.signal);
      const known = new Set(here.map((p) => p.href));
      this.show([...here.slice(0, 4), ...items.filter((i) => !known.has(i.href))], text);
    } catch {
      // Typing went on, or the server is away: what is there stays.
    }
  }

  show(items, text) {
    if (document.activeElement !== this.input) return;
    this.chosen = 0;
    this.list.replaceChildren(...items.map((item, n) => option(item, n)));
    if (!items.length) {
      const none = document.createElement("p");
      none.textContent = `Nothing is called “${text}”. Press Enter to filter the machines by it.`;
      this.list.append(none);
    }
    this.list.hidden = false;
    this.input.setAttribute("aria-expanded", "true");
    this.mark(text ? 0 : -1);
  }

  mark(n) {
    const options = this.list.querySelectorAll("a");
    this.chosen = options.length ? Math.max(-1, Math.min(n, options.length - 1)) : -1;
    options.forEach((o, i) => o.setAttribute("aria-selected", String(i === this.chosen)));
    const now = options[this.chosen];
    if (now) {
      this.input.setAttribute("aria-activedescendant", now.id);
      now.scrollIntoView({ block: "nearest" });
    } else {
      this.input.removeAttribute("aria-activedescendant");
    }
  }

  key(event) {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      this.mark(this.chosen + (event.key === "ArrowDown" ? 1 : -1));
    } else if (event.key === "Enter") {
      const target = this.list.hidden ? null : this.list.querySelectorAll("a")[this.chosen];
      if (target) {
        event.preventDefault();
        target.click();
      }
    } else if (event.key === "Escape") {
      this.input.value = "";
      this.close();
      this.input.blur();
    }
  }

  close() {
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
  }
}

function option(item, n) {
  const link = document.createElement("a");
  link.id = `found-${n}`;
  link.setAttribute("role", "option");
  link.tabIndex = -1;
  // Only places on this server are followed.
  link.href = item.href.startsWith("/") ? item.href : "/";
  const title = document.createElement("span");
  title.textContent = item.title;
  const hint = document.createElement("small");
  hint.textContent = item.hint || ICONS[item.kind] || "";
  link.append(title, hint);
  return link;
}
