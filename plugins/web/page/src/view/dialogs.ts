// Questions in front of the page.
import { el, iconButton } from "../dom";
import { text } from "../text";

/** An open dialog that goes when it is closed. */
export function dialog(title: string, className: string, ...content: (Node | string)[]): HTMLDialogElement {
  const heading = el("h2", { id: "dialog-title" }, title);
  const box = el(
    "dialog",
    { class: className, "aria-labelledby": "dialog-title", onclick: (event: MouseEvent) => event.target === box && box.close() },
    el("div", { class: "dialog-body" },
      el("div", { class: "dialog-head" }, heading, iconButton("close", text.close, () => box.close())),
      ...content),
  );
  box.addEventListener("close", () => box.remove());
  document.body.append(box);
  box.showModal();
  return box;
}

export function confirmed(question: string, action: string): Promise<boolean> {
  return new Promise((resolve) => {
    let answer = false;
    const form = el("form", { method: "dialog" },
      el("p", {}, question),
      el("div", { class: "buttons" },
        el("button", { type: "submit", class: "button" }, text.cancel),
        el("button", { type: "submit", class: "button danger", onclick: () => (answer = true) }, action)));
    dialog(action, "small", form).addEventListener("close", () => resolve(answer));
  });
}

/** What was typed, or null. */
export function typed(title: string, label: string, value: string, action: string, secret = false): Promise<string | null> {
  return new Promise((resolve) => {
    let answer: string | null = null;
    const input = el("input", { type: secret ? "password" : "text", value, autofocus: true, "aria-label": title, autocomplete: "off" });
    const form = el("form", { method: "dialog", onsubmit: () => (answer = input.value) },
      el("p", {}, label), input,
      el("div", { class: "buttons" }, el("button", { type: "submit", class: "button primary" }, action)));
    const box = dialog(title, "small", form);
    input.select();
    box.addEventListener("close", () => resolve(answer));
  });
}
