// What every page gets: each part looks for its marks in the page and does nothing without them.
// Pages work without any of this; see the comment on top of each file for what it adds.
import { startCopy } from "./copy.js";
import { startDialogs } from "./dialog.js";
import { startForms } from "./forms.js";
import { startLive } from "./live.js";
import { bytes, startMachines } from "./machines.js";
import { startMenus } from "./menu.js";
import { csrf, json, post } from "./net.js";
import { startPalette } from "./palette.js";
import { startTheme } from "./theme.js";
import { startTime } from "./time.js";

document.documentElement.dataset.script = "on";
startTime();
startTheme();
startMenus();
startDialogs();
startForms();
startPalette();
startMachines();
startCopy();
startLive();
const strip = document.querySelector(".tabs");
const tab = strip?.querySelector("[aria-current]");
if (tab) strip.scrollLeft = tab.offsetLeft - (strip.clientWidth - tab.offsetWidth) / 2;
startCharts();
document.addEventListener("fresh", startCharts);
/** Charts also come later, when a machine is made. */
function startCharts() {
  for (const part of document.querySelectorAll("[data-charts]:not([data-started])")) {
    part.dataset.started = "";
    import("./charts.js").then((charts) => charts.startCharts(part, { json, bytes }));
  }
}
const consoles = () => import("./console.js");
for (const part of document.querySelectorAll("[data-console]")) consoles().then((c) => c.startConsole(part, { csrf, post }));
const truth = document.querySelector("#console-truth");
if (truth && !document.querySelector("[data-console]")) consoles().then((c) => c.waitForStart(truth, { csrf, post }));
