// Small helps in forms: sizes to start from, drafts that are kept, no double sending, the first wrong field gets the focus.
import { bytes } from "./machines.js";

export function startForms() {
  for (const box of document.querySelectorAll("[data-choose]")) startChoose(box);
  for (const box of document.querySelectorAll("[data-find-box]")) startFind(box);
  document.addEventListener("change", openOptions);
  for (const line of document.querySelectorAll("[data-left]")) startLeft(line);
  for (const form of document.querySelectorAll("form[data-draft]")) keepDraft(form);
  document.querySelector("[aria-invalid=true]")?.focus();
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.method !== "post") return;
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
    // A page that comes back from the browser's cache must be able to send again.
    addEventListener("pageshow", () => delete form.dataset.sent, { once: true });
    setTimeout(() => delete form.dataset.sent, 5000);
  });
}

// What the quota leaves follows what is typed.
function startLeft(line) {
  const { left, used, most, each, more, unit, fits, over } = line.dataset;
  const field = line.closest("form").elements[left];
  field.addEventListener("input", () => {
    const room = Number(most) - Number(used) - (Number(field.value) || 0) * Number(each) - Number(more);
    const amount = Math.abs(room);
    line.textContent = (room < 0 ? over : fits).replace("#", Number(unit) ? bytes(amount * Number(unit)) : String(amount));
    line.classList.toggle("over", room < 0);
  });
}

// What is typed into a step is kept before it is sent, so that leaving the page loses nothing.
function keepDraft(form) {
  let timer = 0;
  const stop = () => {
    clearTimeout(timer);
    timer = 0;
  };
  const send = () => {
    if (!timer) return;
    stop();
    keep(form);
  };
  form.addEventListener("input", () => {
    stop();
    timer = setTimeout(send, 600);
  });
  form.addEventListener("submit", stop);
  addEventListener("pagehide", send);
}

function keep(form) {
  const pairs = [...new FormData(form)].filter(([name, value]) => typeof value === "string" && form.elements[name]?.type !== "password");
  const body = new URLSearchParams([...pairs, ["go", "keep"]]);
  fetch(form.action, { method: "POST", body, headers: { "X-Fragment": "1" }, credentials: "same-origin", keepalive: true }).catch(() => {});
}

// The options of a recipe show when it is chosen.
function openOptions(event) {
  if (event.target.name !== "software" || !event.target.closest(".recipe")) return;
  const options = event.target.closest(".recipe").querySelector("details");
  if (options) options.open = event.target.checked;
}

// Shows only what has all the words.
function startFind(box) {
  box.hidden = false;
  box.addEventListener("input", () => {
    const words = box.querySelector("input").value.toLowerCase().split(/\s+/);
    for (const item of document.querySelectorAll("[data-find]")) {
      const text = item.dataset.find.toLowerCase();
      item.hidden = !words.every((word) => text.includes(word));
    }
    for (const group of document.querySelectorAll("[data-find-group]"))
      group.hidden = !group.querySelector("[data-find]:not([hidden])");
  });
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter") event.preventDefault();
  });
}

// A picked profile fills the form at once: the button that does it without script is pressed.
function startChoose(box) {
  const button = box.querySelector("button");
  button.hidden = true;
  box.addEventListener("change", () => box.closest("form").requestSubmit(button));
}
