// Requests to our own server.
import { toast } from "./toast.js";

export const csrf = () => document.querySelector("meta[name=csrf]")?.content ?? "";

/** The main part of a page as a document, or null when it can't be had now. */
export async function fragment(url) {
  try {
    const response = await fetch(url, { headers: { "X-Fragment": "1" }, credentials: "same-origin" });
    // Signed out meanwhile: the reload leads to the sign-in page.
    if (response.status === 401 || (response.redirected && new URL(response.url).pathname === "/sign-in")) {
      location.reload();
      return null;
    }
    if (response.status === 404) await goneTo(response);
    if (!response.ok) return null;
    return new DOMParser().parseFromString(await response.text(), "text/html");
  } catch {
    return null;
  }
}

/** What the page shows is gone: the job that did it says why. */
async function goneTo(response) {
  const { job } = await response.json().catch(() => ({}));
  if (job) location.replace(`/jobs/${job}`);
}

export async function json(url, signal) {
  const response = await fetch(url, { headers: { Accept: "application/json" }, credentials: "same-origin", signal });
  if (!response.ok) throw new Error(`${response.status}`);
  return response.json();
}

/** Sends pairs as a form would. Says what went wrong in a toast; true when it went well. */
export async function post(url, pairs) {
  const body = new URLSearchParams([["csrf", csrf()], ...pairs]);
  try {
    const headers = { "X-Fragment": "1" };
    const response = await fetch(url, { method: "POST", body, headers, redirect: "manual", credentials: "same-origin" });
    if (response.ok || response.type === "opaqueredirect") return true;
    toast("bad", await sentence(response));
  } catch {
    toast("bad", "Steward does not answer. Is it running, and are you on its network?");
  }
  return false;
}

async function sentence(response) {
  const text = await response.text();
  if (response.headers.get("content-type")?.includes("json")) {
    const problem = JSON.parse(text);
    return problem.detail ?? problem.title ?? "That did not work.";
  }
  const page = new DOMParser().parseFromString(text, "text/html");
  const said = page.querySelector(".note, .error-page p")?.textContent ?? (text.length < 300 ? text : "");
  return said.trim() || "That did not work.";
}
