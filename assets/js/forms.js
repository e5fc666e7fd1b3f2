// Small helps in forms: sizes to start from, no double sending, the first wrong field gets the focus.

export function startForms() {
  for (const row of document.querySelectorAll("[data-presets]")) startPresets(row);
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

function startPresets(row) {
  row.hidden = false;
  row.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    for (const name of ["cores", "memory", "disk"]) row.closest("form").elements[name].value = button.dataset[name];
  });
}
