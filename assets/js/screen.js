// The screen of a machine: noVNC on a websocket that is open already.
import RFB from "@novnc/novnc";

const CONTROL = 0xffe3;
const SHIFT = 0xffe1;
const SPECIAL = { "\n": [0xff0d, "Enter"], "\t": [0xff09, "Tab"], "\b": [0xff08, "Backspace"] };

/** Keys of an English (US) keyboard: character, its key, and whether shift is held. */
const US = new Map([[" ", ["Space", false]]]);
const rows = [
  ["`1234567890-=", "~!@#$%^&*()_+", ["Backquote", ..."1234567890".split("").map((d) => `Digit${d}`), "Minus", "Equal"]],
  ["[]\\;',./", "{}|:\"<>?", ["BracketLeft", "BracketRight", "Backslash", "Semicolon", "Quote", "Comma", "Period", "Slash"]],
  ["abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "ABCDEFGHIJKLMNOPQRSTUVWXYZ".split("").map((c) => `Key${c}`)],
];
for (const [plain, shifted, codes] of rows) {
  codes.forEach((code, n) => {
    US.set(plain[n], [code, false]);
    US.set(shifted[n], [code, true]);
  });
}

/** The keysym of a character (X11: Latin-1 is itself, the rest is marked as Unicode). */
const keysym = (c) => (c.codePointAt(0) <= 0xff ? c.codePointAt(0) : 0x01000000 | c.codePointAt(0));

export function view(place, socket, { password, fit, name, ready, refused }) {
  const rfb = new RFB(place, socket, { credentials: { password: password ?? "" }, shared: true });
  rfb.background = "transparent";
  rfb.scaleViewport = fit;
  const canvas = place.querySelector("canvas");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `Screen of ${name}`);
  rfb.addEventListener("connect", ready);
  rfb.addEventListener("securityfailure", () => refused("The machine's screen refused the password. Try again."));
  rfb.addEventListener("credentialsrequired", () => refused("The machine's screen asks for a kind of sign-in that Steward does not know."));
  let closed = false;
  return {
    focus: () => rfb.focus({ preventScroll: true }),
    keys: () => rfb.sendCtrlAltDel(),
    fit: (on) => {
      rfb.scaleViewport = on;
    },
    // Slowly: a machine that starts up loses keys that come all at once.
    type: async (text) => {
      for (const c of text) {
        if (closed) return;
        const [sym, code] = SPECIAL[c] ?? [keysym(c), US.get(c)?.[0]];
        const shift = US.get(c)?.[1];
        if (shift) rfb.sendKey(SHIFT, "ShiftLeft", true);
        rfb.sendKey(sym, code, true);
        rfb.sendKey(sym, code, false);
        if (shift) rfb.sendKey(SHIFT, "ShiftLeft", false);
        await new Promise((next) => setTimeout(next, 8));
      }
    },
    close: () => {
      closed = true;
      rfb.sendKey(CONTROL, "ControlLeft", false);
      rfb.disconnect();
    },
  };
}
