// Keeps "3 min ago" true, and shows the exact time in the person's own zone on hover.

const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

/** The same words as `parts::relative` in Rust. */
export function relative(seconds) {
  const past = seconds >= 0;
  const s = Math.floor(Math.abs(seconds));
  if (s < 10) return past ? "just now" : "in a moment";
  const amount =
    s < 60 ? `${s}\u00a0s`
    : s < 3600 ? `${Math.floor(s / 60)}\u00a0min`
    : s < 86400 ? `${Math.floor(s / 3600)}\u00a0h`
    : s < 172800 ? "1\u00a0day"
    : `${Math.floor(s / 86400)}\u00a0days`;
  return past ? `${amount} ago` : `in ${amount}`;
}

export function refreshTimes(root = document) {
  const now = Date.now();
  for (const element of root.querySelectorAll("time[datetime]")) {
    const at = new Date(element.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    const words = element.hasAttribute("data-clock") ? clock.format(at) : relative((now - at.getTime()) / 1000);
    if (element.textContent !== words) element.textContent = words;
    element.title = exact.format(at);
  }
}

export function startTime() {
  refreshTimes();
  setInterval(() => document.hidden || refreshTimes(), 10_000);
}
