// Asks before what can't be taken back: any button with data-confirm. A button with data-impact shows what depends on
// the machine, as the server's page for it does, and asks only when something does.
import { fragment } from "./net.js";

/** Resolves to true when the person agrees. `question` is a text or what is to be shown. */
export function ask(question, word) {
  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-label", "Please confirm");
  const text = document.createElement(typeof question === "string" ? "p" : "div");
  text.append(question);
  const form = document.createElement("form");
  form.method = "dialog";
  form.className = "actions";
  const no = document.createElement("button");
  no.value = "no";
  no.textContent = "Keep as it is";
  no.autofocus = true;
  const yes = document.createElement("button");
  yes.value = "yes";
  yes.className = "danger solid";
  yes.textContent = word;
  form.append(no, yes);
  dialog.append(text, form);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
  });
}

/** What depends on the machine, from the page that asks without script. True when nothing is to be asked. */
async function sure(button) {
  const own = button.dataset.impact;
  const form = button.form;
  const page = await fragment(own || `${form.getAttribute("action")}?${new URLSearchParams({ action: button.value })}`);
  const word = button.querySelector("span")?.firstChild?.textContent.trim() || button.textContent.trim();
  const part = page?.querySelector(".sure");
  if (!part) return ask("What depends on this machine can't be read right now. Continue anyway?", word);
  if (part.dataset.asks !== "yes") return true;
  const shown = document.createDocumentFragment();
  for (const piece of part.querySelectorAll(":scope > h2, :scope > .impact, :scope > .note")) shown.append(document.importNode(piece, true));
  return ask(shown, word);
}

/** The form says that it was asked. */
function press(button) {
  const told = document.createElement("input");
  Object.assign(told, { type: "hidden", name: "sure", value: "yes" });
  button.form?.append(told);
  button.dataset.agreed = "yes";
  button.click();
  delete button.dataset.agreed;
  told.remove();
}

export function startDialogs() {
  // In the capturing phase, so that no other listener acts before the answer.
  document.addEventListener(
    "click",
    async (event) => {
      const button = event.target.closest("button[data-confirm], button[data-impact]");
      if (!button || button.dataset.agreed) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      if (button.dataset.asking) return;
      button.dataset.asking = "yes";
      const impact = button.dataset.impact !== undefined;
      const agreed = await (impact ? sure(button) : ask(button.dataset.confirm, button.textContent.trim()));
      delete button.dataset.asking;
      if (agreed) press(button);
    },
    true,
  );
}
