// Short messages: on the page for a moment, and for screen readers.
import { el } from "../dom";

const SHOWN = 5000;
const list = el("div", { class: "notices", role: "status" });
const spoken = el("div", { class: "only-spoken", "aria-live": "polite" });

export function notices(): HTMLElement[] {
  return [list, spoken];
}

export function notice(message: string, kind: "info" | "error" = "info"): void {
  const one = el("div", { class: `notice ${kind}` }, message);
  list.append(one);
  setTimeout(() => one.remove(), kind === "error" ? 2 * SHOWN : SHOWN);
}

/** Said by a screen reader, not shown. */
export function announce(message: string): void {
  spoken.textContent = message;
}
