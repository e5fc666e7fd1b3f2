// Copy buttons: shown only where the browser lets a page write to the clipboard.
import { toast } from "./toast.js";

export function showCopy(root = document) {
  if (!navigator.clipboard) return;
  for (const button of root.querySelectorAll("[data-copy][hidden]")) button.hidden = false;
}

export function startCopy() {
  showCopy();
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.classList.add("copied");
      button.setAttribute("aria-label", "Copied");
      setTimeout(() => {
        button.classList.remove("copied");
        button.setAttribute("aria-label", "Copy");
      }, 1500);
    } catch {
      toast("warn", "The browser did not allow copying. Select the text instead.");
    }
  });
}
