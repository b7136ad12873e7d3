// Above the chat: the model, the list of chats on small screens, settings.
import { taskOf } from "../api/models";
import { open, setModel } from "../chats";
import { el, iconButton } from "../dom";
import { model, on, state } from "../state";
import { text } from "../text";
import type { Model } from "../types";
import { openSettings } from "./settings";

const choice = el("select", { class: "model", "aria-label": text.model, onchange: () => void setModel(choice.value) });

export function header(toggle: () => void): HTMLElement {
  on("models", draw);
  on("chat", draw);
  return el("header", { class: "top" },
    iconButton("menu", text.showChats, toggle, { "aria-controls": "sidebar" }), choice, el("span", { class: "space" }),
    iconButton("plus", text.newChat, () => void open(null)), iconButton("settings", text.settings, openSettings));
}

function draw(): void {
  const groups: [string, Model[]][] = [[text.chatModels, []], [text.imageModels, []], [text.speechModels, []], [text.otherModels, []]];
  const place = { text: 0, image: 1, speech: 2, transcribe: 3, other: 3 };
  for (const one of state.models) groups[place[taskOf(one)]]![1].push(one);
  const shown = groups.slice(0, 3).filter(([, models]) => models.length);
  const option = (one: Model) => el("option", { value: one.id }, one.parent ? text.adapterOf(one.id, one.parent) : one.id);
  if (shown.length === 1) choice.replaceChildren(...shown[0]![1].map(option));
  else choice.replaceChildren(...shown.map(([label, models]) => el("optgroup", { label }, ...models.map(option))));
  if (!shown.length) choice.replaceChildren(el("option", {}, text.noModels));
  choice.value = model()?.id ?? "";
  choice.disabled = state.models.length < 2;
}
