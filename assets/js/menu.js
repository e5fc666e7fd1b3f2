// Menus made of <details>: one open at a time, closed by Escape and by a click elsewhere, arrows move inside.

const openMenus = () => document.querySelectorAll("details[name=menu][open]");

export function startMenus() {
  document.addEventListener("click", (event) => {
    for (const menu of openMenus()) if (!menu.contains(event.target)) menu.open = false;
  });
  document.addEventListener("keydown", (event) => {
    const menu = event.target.closest?.("details[name=menu][open]");
    if (!menu) return;
    if (event.key === "Escape") {
      menu.open = false;
      menu.querySelector("summary").focus();
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      step(menu, event.key === "ArrowDown" ? 1 : -1);
    }
  });
}

/** Moves the focus among what can be chosen in `menu`. */
export function step(menu, by) {
  const items = [...menu.querySelectorAll(".sheet a, .sheet button:not(:disabled), .sheet input, :scope > a, :scope > button:not(:disabled)")]
    .filter((item) => item.offsetParent !== null);
  if (!items.length) return;
  const at = items.indexOf(document.activeElement);
  items[(at + by + items.length) % items.length]?.focus();
}
