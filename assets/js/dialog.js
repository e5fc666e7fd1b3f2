// Asks before what can't be taken back: any button with data-confirm.

/** Resolves to true when the person agrees. */
export function ask(question, word) {
  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-label", "Please confirm");
  const text = document.createElement("p");
  text.textContent = question;
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

export function startDialogs() {
  // In the capturing phase, so that no other listener acts before the answer.
  document.addEventListener(
    "click",
    async (event) => {
      const button = event.target.closest("button[data-confirm]");
      if (!button || button.dataset.agreed) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      if (await ask(button.dataset.confirm, button.textContent.trim())) {
        button.dataset.agreed = "yes";
        button.click();
        delete button.dataset.agreed;
      }
    },
    true,
  );
}
