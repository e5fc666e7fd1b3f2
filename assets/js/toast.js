// Short sentences about what happened in the background. Read out, gone by themselves when all is well.

export function toast(level, text) {
  let place = document.querySelector(".toasts");
  if (!place) {
    place = document.createElement("div");
    place.className = "toasts";
    place.setAttribute("role", "status");
    document.body.append(place);
  }
  const note = document.createElement("div");
  note.className = `note ${level}`;
  const words = document.createElement("div");
  words.textContent = text;
  const close = document.createElement("button");
  close.className = "quiet icon";
  close.setAttribute("aria-label", "Close");
  close.textContent = "×";
  close.addEventListener("click", () => note.remove());
  note.append(words, close);
  place.append(note);
  setTimeout(() => note.remove(), level === "ok" ? 5000 : 15000);
}
