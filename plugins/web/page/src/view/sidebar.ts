// The list of chats: search, rename, export, import, delete.
import { open, reload, remove, removeAll, rename } from "../chats";
import { el, icon, iconButton } from "../dom";
import { on, state } from "../state";
import { messagesOf, searchMessages } from "../store/database";
import { importFile, toJson } from "../store/exchange";
import { toMarkdown } from "../store/markdown_file";
import { Tree } from "../store/tree";
import { text } from "../text";
import type { Chat } from "../types";
import { confirmed, typed } from "./dialogs";
import { openMenu } from "./menu";
import { notice } from "./notices";
import { openSettings } from "./settings";
import { openShortcuts } from "./shortcuts";

const DAY = 86_400_000;
const list = el("nav", { class: "chat-list", "aria-label": text.chats });
const searching = el("input", { type: "search", placeholder: text.searchChats, "aria-label": text.searchChats, oninput: () => void search() });
const picker = el("input", { type: "file", accept: ".json,.md,application/json,text/markdown", multiple: true, class: "only-spoken", tabindex: "-1", "aria-hidden": "true" });
let found: Set<string> | null = null;
let searches = 0;

export function sidebar(close: () => void): HTMLElement {
  on("chats", draw);
  on("chat", draw);
  picker.addEventListener("change", () => void take());
  const more = iconButton("more", text.importChats, () => openMenu(more, text.chats, [
    { label: text.importChats, run: () => picker.click() },
    { label: text.exportAll, run: () => void exportJson(state.chats, "chats") },
    { label: text.removeAll, danger: true, run: async () => { if (await confirmed(text.removeEvery, text.removeAll)) await removeAll(); } },
  ]), { "aria-haspopup": "menu", "aria-label": text.chats, title: text.chats });
  return el("aside", { class: "sidebar", "aria-label": text.chats, id: "sidebar" },
    el("header", {},
      el("img", { src: "icon.svg", alt: "", width: 26, height: 26 }), el("strong", {}, text.product),
      more, iconButton("close", text.hideChats, close, { class: "icon-button close-sidebar" })),
    el("button", { type: "button", class: "new-chat", onclick: () => void open(null) }, icon("plus"), text.newChat),
    el("label", { class: "search" }, icon("search"), searching),
    list, picker,
    el("footer", {},
      el("button", { type: "button", class: "plain-button", onclick: openSettings }, icon("settings"), text.settings),
      iconButton("keyboard", text.shortcuts, openShortcuts)));
}

export function focusSearch(): void {
  searching.focus();
  searching.select();
}

async function search(): Promise<void> {
  const mine = ++searches;
  const words = searching.value.trim();
  if (!words) found = null;
  else {
    const wanted = words.toLocaleLowerCase();
    const named = new Set(state.chats.filter((chat) => chat.title.toLocaleLowerCase().includes(wanted)).map((chat) => chat.id));
    found = named;
    draw();
    const inside = await searchMessages(words, () => mine !== searches);
    if (mine !== searches) return;
    found = new Set([...named, ...inside]);
  }
  draw();
}

function draw(): void {
  const shown = found ? state.chats.filter((chat) => found!.has(chat.id)) : state.chats;
  const parts: HTMLElement[] = [];
  let group = "";
  for (const chat of shown) {
    const name = groupOf(chat.updated);
    if (name !== group) parts.push(el("h2", {}, (group = name)));
    parts.push(row(chat));
  }
  if (!shown.length) parts.push(el("p", { class: "note" }, found ? text.nothingFound : text.noChats));
  list.replaceChildren(...parts);
}

function groupOf(time: number): string {
  const midnight = new Date().setHours(0, 0, 0, 0);
  if (time >= midnight) return text.today;
  if (time >= midnight - DAY) return text.yesterday;
  return time >= midnight - 6 * DAY ? text.week : text.older;
}

function row(chat: Chat): HTMLElement {
  const here = state.chat?.id === chat.id;
  const menu = iconButton("more", text.chatMenu(chat.title), () => openMenu(menu, chat.title, [
    { label: text.rename, run: async () => {
      const title = await typed(text.rename, text.nameOfChat, chat.title, text.ok);
      if (title !== null) await rename(here ? state.chat! : chat, title);
    } },
    { label: text.exportMarkdown, run: () => void exportMarkdown(chat) },
    { label: text.exportJson, run: () => void exportJson([chat], chat.title) },
    { label: text.remove, danger: true, run: async () => { if (await confirmed(text.removeChat(chat.title), text.remove)) await remove(chat); } },
  ]), { "aria-haspopup": "menu" });
  const running = state.runs.has(chat.id);
  return el("div", { class: `chat-row${here ? " here" : ""}${running ? " running" : ""}` },
    el("a", { href: `#chat=${chat.id}`, dir: "auto", title: chat.title, "aria-current": here ? "page" : null }, chat.title), menu);
}

async function exportMarkdown(chat: Chat): Promise<void> {
  const path = new Tree(await messagesOf(chat.id)).path(chat.leaf);
  offer(toMarkdown(chat, path), `${fileName(chat.title)}.md`, "text/markdown");
}

async function exportJson(chats: Chat[], name: string): Promise<void> {
  offer(await toJson(chats), `${fileName(name)}.json`, "application/json");
}

async function take(): Promise<void> {
  let count = 0;
  for (const file of picker.files ?? []) {
    try {
      count += await importFile(await file.text());
    } catch {
      notice(text.notImported(file.name), "error");
    }
  }
  picker.value = "";
  if (!count) return;
  notice(text.imported(count));
  await reload();
}

function fileName(title: string): string {
  return title.replace(/[^\p{L}\p{N} _-]+/gu, "").trim().slice(0, 60) || "chat";
}

function offer(content: string, name: string, type: string): void {
  const url = URL.createObjectURL(new Blob([content], { type }));
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
