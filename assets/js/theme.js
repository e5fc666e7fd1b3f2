// Switches the theme at once and tells the server in the background.
import { post } from "./net.js";

export function startTheme() {
  document.addEventListener("submit", (event) => {
    const form = event.target.closest("[data-theme-form]");
    const theme = event.submitter?.value;
    if (!form || !theme) return;
    event.preventDefault();
    document.documentElement.dataset.theme = theme;
    for (const button of document.querySelectorAll("[data-theme-form] button[name=theme]")) {
      button.setAttribute("aria-pressed", String(button.value === theme));
    }
    document.dispatchEvent(new CustomEvent("steward:theme"));
    post(form.action, [["theme", theme]]);
  });
}
