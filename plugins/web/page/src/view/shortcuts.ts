// The keyboard: what each key does, and the page that says so.
import { stop } from "../answer";
import { open } from "../chats";
import { el } from "../dom";
import { path, running } from "../state";
import { text } from "../text";
import { dialog } from "./dialogs";
import { notice } from "./notices";

export function openShortcuts(): void {
  const rows = text.shortcutList.map(([keys, does]) => el("tr", {}, el("th", { scope: "row" }, el("kbd", {}, keys)), el("td", {}, does)));
  dialog(text.shortcuts, "small", el("table", { class: "shortcuts" }, el("tbody", {}, ...rows)));
}

export function listen(actions: { search: () => void; settings: () => void; compose: () => void }): void {
  document.addEventListener("keydown", (event) => {
    const command = event.ctrlKey || event.metaKey;
    const key = event.key.toLowerCase();
    if (document.querySelector("dialog[open]")) return;
    if (key === "escape") {
      if (running()) stop();
      return;
    }
    if (command && event.shiftKey && key === "o") void open(null).then(actions.compose);
    else if (command && !event.shiftKey && key === "k") actions.search();
    else if (command && key === ",") actions.settings();
    else if (command && event.shiftKey && event.code === "Semicolon") copyLast();
    else return;
    event.preventDefault();
  });
}

function copyLast(): void {
  const last = path().findLast((message) => message.role === "assistant");
  if (last) void navigator.clipboard.writeText(last.text).then(() => notice(text.copied));
}
