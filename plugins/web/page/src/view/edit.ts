// A message of the user being changed: what is sent begins a branch.
import { send } from "../answer";
import { el } from "../dom";
import { running } from "../state";
import { text } from "../text";
import type { MessageView } from "./message";

export function edit(view: MessageView): void {
  const { message, element } = view;
  const before = [...element.childNodes];
  const back = () => {
    element.replaceChildren(...before);
    element.querySelector<HTMLElement>(".actions button")?.focus();
  };
  const input = el("textarea", {
    "aria-label": text.edit, dir: "auto", rows: Math.min(12, message.text.split("\n").length + 1),
    onkeydown: (event: KeyboardEvent) => {
      if (event.key === "Escape") back();
      else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) form.requestSubmit();
      else return;
      event.preventDefault();
      event.stopPropagation();
    },
  });
  input.value = message.text;
  const form = el("form", {
    class: "editing",
    onsubmit: (event: Event) => {
      event.preventDefault();
      const words = input.value.trim();
      if (running() || !(words || message.attachments?.length)) return;
      back();
      void send(words, message.attachments ?? [], message);
    },
  }, input, el("div", { class: "buttons" },
    el("button", { type: "button", class: "button", onclick: back }, text.cancel),
    el("button", { type: "submit", class: "button primary" }, text.save)));
  element.replaceChildren(form);
  input.focus();
  input.setSelectionRange(input.value.length, input.value.length);
}
