// A machine's console, loaded only on its page: gets a ticket, opens the websocket, and gives it to the screen
// (noVNC) or the terminal (xterm.js), each a chunk of its own. After a cut it tries again with growing pauses.

/** Helpers of the main bundle, handed in: importing them would split it in two. */
let csrf;
let post;

/** Pauses between tries, seconds; the last one stays. */
const PAUSES = [1, 2, 4, 8, 15, 30];
/** A console that was open this long starts with the short pauses again, ms. */
const SETTLED = 10_000;

/** What the server's close codes mean to a person; see src/web/guests/console/mod.rs. */
const ENDINGS = {
  1001: "Steward was stopped or restarted.",
  4000: "The connection to the machine was cut.",
  4002: "The connection to the machine's host was cut.",
  4001: "The browser was silent for too long.",
};

export function startConsole(part, helpers) {
  ({ csrf, post } = helpers);
  startHere();
  const truth = document.querySelector("#console-truth");
  const glass = part.querySelector("[data-glass]");
  const words = part.querySelector("[data-words]");
  const keys = part.querySelector("[data-keys]");
  const paste = part.querySelector("[data-paste]");
  let kind = part.dataset.kind;
  let socket = null;
  /** The open viewer: { focus, keys, type, fit, close }. */
  let viewer = null;
  let tries = 0;
  let timer = 0;
  let fit = true;
  /** Counts connections, so that a late answer of an older one changes nothing. */
  let turn = 0;

  const say = (state, text) => {
    part.dataset.state = state;
    words.textContent = text;
  };
  const buttons = () => {
    for (const button of part.querySelectorAll("[data-do]")) {
      const only = button.dataset.for;
      button.hidden = Boolean(only && only !== kind);
      if (["keys", "paste", "keyboard"].includes(button.dataset.do)) button.disabled = !viewer;
    }
    for (const button of part.querySelectorAll("[data-pick]")) button.setAttribute("aria-pressed", String(button.dataset.pick === kind));
  };
  const running = () => truth.dataset.running === "true";

  function close() {
    turn += 1;
    clearTimeout(timer);
    viewer?.close();
    socket?.close();
    viewer = socket = null;
    glass.replaceChildren();
    buttons();
  }

  /** Tries again later; `why` is a sentence. */
  function later(why) {
    close();
    if (!running()) return say("asleep", "The machine is off.");
    const pause = PAUSES[Math.min(tries, PAUSES.length - 1)];
    tries += 1;
    say("cut", `${why} Trying again in ${pause} s.`);
    timer = setTimeout(connect, pause * 1000);
  }

  function stop(state, why) {
    close();
    say(state, why);
  }

  async function connect() {
    close();
    const mine = turn;
    say("connecting", "Connecting…");
    let ticket;
    let load;
    try {
      // The viewer must be there before the first bytes are.
      const chunk = kind === "vnc" ? import("./screen.js") : import("./terminal.js");
      [ticket, load] = await Promise.all([ask(part.dataset.console, kind), chunk]);
    } catch (error) {
      if (mine !== turn) return;
      if (error.stopped) return stop(running() ? "refused" : "asleep", error.message);
      return later(error.message || "Steward does not answer.");
    }
    if (mine !== turn) return;
    const url = new URL(`${part.dataset.console}/ws`, location.href);
    url.protocol = "wss:";
    url.searchParams.set("ticket", ticket);
    const ours = new WebSocket(url);
    socket = ours;
    ours.binaryType = "arraybuffer";
    let began = 0;
    let failed = "";
    const ended = (event) => {
      if (mine !== turn) return;
      if (began && Date.now() - began > SETTLED) tries = 0;
      if (event.code === 4003) return stop("refused", event.reason || "You may not use this machine any more.");
      later(failed || ENDINGS[event.code] || "The connection was lost.");
    };
    ours.addEventListener("close", ended);
    ours.onmessage = (event) => {
      if (mine !== turn || typeof event.data !== "string") return;
      const first = JSON.parse(event.data);
      if (first.error) {
        failed = first.error;
        return;
      }
      // Now, in this very turn of the event loop: the next message is the machine's.
      ours.onmessage = null;
      began = Date.now();
      viewer = load.view(glass, ours, {
        password: first.open.password,
        fit,
        name: part.dataset.name,
        ready: () => {
          if (mine !== turn) return;
          say("open", kind === "vnc" ? "Connected. Click into the screen to type." : "Connected.");
          buttons();
          viewer?.focus();
        },
        refused: (why) => mine === turn && stop("refused", why),
      });
      buttons();
    };
  }

  part.addEventListener("click", (event) => {
    const pick = event.target.closest("[data-pick]");
    if (pick && pick.dataset.pick !== kind) {
      kind = pick.dataset.pick;
      tries = 0;
      connect();
      return;
    }
    const button = event.target.closest("[data-do]");
    switch (button?.dataset.do) {
      case "keys":
        viewer?.keys();
        viewer?.focus();
        break;
      case "paste":
        part.querySelector("[data-paste-hint]").textContent = kind === "vnc"
          ? "It is typed key by key, as on an English (US) keyboard."
          : "It is sent as if you typed it.";
        paste.returnValue = "";
        paste.showModal();
        break;
      case "keyboard":
        keys.focus();
        break;
      case "fit":
        fit = !fit;
        button.setAttribute("aria-pressed", String(fit));
        part.toggleAttribute("data-whole", !fit);
        viewer?.fit(fit);
        break;
      case "full":
        if (document.fullscreenElement) document.exitFullscreen();
        else part.requestFullscreen?.().then(() => viewer?.focus(), () => {});
        break;
      case "again":
        tries = 0;
        connect();
        break;
      default:
    }
  });

  paste.addEventListener("close", () => {
    const box = paste.querySelector("textarea");
    if (paste.returnValue === "go" && box.value) viewer?.type(box.value.replaceAll("\r\n", "\n"));
    // It may be a password.
    box.value = "";
    viewer?.focus();
  });

  // A phone's keyboard writes into a hidden field; each change becomes keys for the machine.
  keys.addEventListener("beforeinput", (event) => {
    event.preventDefault();
    if (event.inputType === "insertText" && event.data) viewer?.type(event.data);
    else if (event.inputType.startsWith("insertLine") || event.inputType === "insertParagraph") viewer?.type("\n");
    else if (event.inputType.startsWith("delete")) viewer?.type("\b");
  });

  // The live part of the page tells when the machine stops or starts.
  new MutationObserver(() => {
    if (running() && part.dataset.state === "asleep") {
      tries = 0;
      connect();
    } else if (!running() && !viewer) {
      stop("asleep", "The machine is off.");
    }
  }).observe(truth, { attributes: true, attributeFilter: ["data-running"] });

  addEventListener("pagehide", close);
  buttons();
  connect();
}

/** A page that was opened while the machine was off has no screen yet: it is loaded anew when it runs. */
export function waitForStart(truth, helpers) {
  ({ csrf, post } = helpers);
  startHere();
  new MutationObserver(() => truth.dataset.running === "true" && location.reload()).observe(truth, {
    attributes: true,
    attributeFilter: ["data-running"],
  });
}

/** The Start button works in the background: its form would lead to another page. */
function startHere() {
  document.addEventListener("submit", async (event) => {
    const form = event.target.closest("#console-truth form");
    if (!form) return;
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    button.disabled = await post(form.getAttribute("action"), [["action", "start"]]);
  }, true);
}

/** Asks for a ticket. An error that another try can't help has `stopped`. */
async function ask(base, kind) {
  const response = await fetch(`${base}/ticket`, {
    method: "POST",
    body: new URLSearchParams([["csrf", csrf()], ["kind", kind]]),
    headers: { Accept: "application/json", "X-Fragment": "1" },
    credentials: "same-origin",
  }).catch(() => {
    throw new Error("Steward does not answer.");
  });
  const body = await response.json().catch(() => ({}));
  if (response.ok) return body.ticket;
  const error = new Error(body.detail || "The console can't be opened right now.");
  error.stopped = [401, 403, 404, 409, 422].includes(response.status);
  throw error;
}
