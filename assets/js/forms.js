// Small helps in forms: sizes to start from, no double sending, the first wrong field gets the focus.

export function startForms() {
  for (const box of document.querySelectorAll("[data-choose]")) startChoose(box);
  for (const box of document.querySelectorAll("[data-find-box]")) startFind(box);
  document.addEventListener("change", openOptions);
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
