// The serial line of a machine, or a container's terminal: xterm.js on a websocket that is open already.
import { FitAddon } from "@xterm/addon-fit";
import { Terminal } from "@xterm/xterm";

/**
 * xterm.js writes its rules into style elements, which our content security policy forbids. build.mjs makes it
 * create these instead: the text becomes a style sheet of the document, which no policy minds.
 */
class StyleSheet extends HTMLElement {
  #sheet = new CSSStyleSheet();

  set textContent(text) {
    this.#sheet.replaceSync(text);
  }

  get textContent() {
    return "";
  }

  connectedCallback() {
    this.hidden = true;
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, this.#sheet];
  }

  disconnectedCallback() {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((s) => s !== this.#sheet);
  }
}
customElements.get("style-sheet") ?? customElements.define("style-sheet", StyleSheet);

/** The same in both themes, as a terminal's colours are chosen for a dark ground. */
const THEME = { background: "#101418", foreground: "#e8eaeb", cursor: "#4cc3cb", selectionBackground: "#2d4a52" };

export function view(place, socket, { name, ready }) {
  const terminal = new Terminal({
    cursorBlink: !matchMedia("(prefers-reduced-motion: reduce)").matches,
    fontFamily: getComputedStyle(document.documentElement).getPropertyValue("--mono"),
    fontSize: 14,
    scrollback: 5000,
    theme: THEME,
    // Rows as a list beside the picture, for those who listen.
    screenReaderMode: true,
  });
  const fitting = new FitAddon();
  terminal.loadAddon(fitting);
  terminal.open(place);
  terminal.textarea.setAttribute("aria-label", `Terminal of ${name}`);
  const send = (data) => socket.readyState === WebSocket.OPEN && socket.send(data);
  const encoder = new TextEncoder();
  terminal.onData((text) => send(encoder.encode(text)));
  terminal.onBinary((text) => send(Uint8Array.from(text, (c) => c.charCodeAt(0))));
  terminal.onResize(({ cols, rows }) => send(JSON.stringify({ columns: cols, rows })));
  socket.onmessage = (event) => typeof event.data !== "string" && terminal.write(new Uint8Array(event.data));
  const watch = new ResizeObserver(() => fitting.fit());
  watch.observe(place);
  fitting.fit();
  send(JSON.stringify({ columns: terminal.cols, rows: terminal.rows }));
  queueMicrotask(ready);
  return {
    focus: () => terminal.focus(),
    keys: () => {},
    fit: () => {},
    type: (text) => (text === "\b" ? send(encoder.encode("\x7f")) : terminal.paste(text)),
    close: () => {
      watch.disconnect();
      terminal.dispose();
    },
  };
}
