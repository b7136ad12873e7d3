// Opening, changing and removing chats; other tabs are told.
import { emit, model, settings, state } from "./state";
import * as database from "./store/database";
import { preferences } from "./store/preferences";
import { Tree } from "./store/tree";
import { text } from "./text";
import type { Chat, Message, Settings } from "./types";
import { notice } from "./view/notices";

const channel = new BroadcastChannel("tramontane");
const HASH = /^#chat=([\w-]+)$/;

/** Chats that were removed while they were answered: what comes of that is not kept. */
const removed = new Set<string>();

/** Read what is kept, and open the chat that the address names. */
export async function begin(): Promise<void> {
  channel.addEventListener("message", (event) => void heard(event.data));
  window.addEventListener("hashchange", () => void follow());
  state.chats = await database.allChats();
  emit("chats");
  await follow();
}

async function follow(): Promise<void> {
  const id = HASH.exec(location.hash)?.[1] ?? null;
  if (id !== (state.chat?.id ?? null)) await open(id);
}

async function heard(id: string): Promise<void> {
  state.chats = await database.allChats();
  emit("chats");
  if (state.chat?.id !== id || state.runs.has(id)) return;
  const chat = await database.getChat(id);
  if (!chat) return open(null);
  // the branch that is looked at here stays
  state.tree = new Tree(await database.messagesOf(id));
  const leaf = state.tree.get(state.chat.leaf);
  state.chat = { ...chat, leaf: leaf ? state.tree.latest(leaf).id : chat.leaf };
  emit("path");
}

export async function open(id: string | null): Promise<void> {
  const run = id === null ? undefined : state.runs.get(id);
  const chat = run?.chat ?? (id === null ? undefined : await database.getChat(id));
  if (chat && state.chat?.id !== chat.id) {
    const messages = await database.messagesOf(chat.id);
    for (const one of messages) if (one.end === "writing") one.end = "interrupted";
    state.tree = new Tree(messages);
    if (run) state.tree.add(run.message);
  }
  if (!chat) state.tree = new Tree([]);
  state.chat = chat ?? null;
  const hash = chat ? `#chat=${chat.id}` : "";
  if (location.hash !== hash) history.pushState(null, "", hash || location.pathname);
  emit("chat");
}

export function create(title: string): Chat {
  const now = Date.now();
  const chat: Chat = {
    id: crypto.randomUUID(), title, named: false, created: now, updated: now, leaf: null,
    model: model()?.id ?? "", settings: { ...settings() },
  };
  state.chat = chat;
  state.tree = new Tree([]);
  history.pushState(null, "", `#chat=${chat.id}`);
  return chat;
}

/** Keep a chat and messages of it. */
export async function save(chat: Chat, ...messages: Message[]): Promise<void> {
  if (removed.has(chat.id)) return;
  const at = state.chats.findIndex((one) => one.id === chat.id);
  if (at >= 0) state.chats.splice(at, 1);
  state.chats.splice(state.chats.findIndex((one) => one.updated <= chat.updated) >>> 0, 0, chat);
  emit("chats");
  await keep(chat, messages);
}

/** Keep messages only, for what changes many times a second. */
export async function keep(chat: Chat, messages: Message[]): Promise<void> {
  if (removed.has(chat.id)) return;
  try {
    await database.put([chat], messages);
  } catch (error) {
    if ((error as DOMException).name !== "QuotaExceededError") throw error;
    notice(text.storeFull, "error");
  }
  channel.postMessage(chat.id);
}

export async function rename(chat: Chat, title: string): Promise<void> {
  chat.title = title.trim().slice(0, 200) || text.untitled;
  chat.named = true;
  if (state.chat?.id === chat.id) state.chat = chat;
  await save(chat);
  emit("path");
}

export async function remove(chat: Chat): Promise<void> {
  removed.add(chat.id);
  state.runs.get(chat.id)?.abort();
  await database.removeChat(chat.id);
  state.chats = state.chats.filter((one) => one.id !== chat.id);
  emit("chats");
  if (state.chat?.id === chat.id) await open(null);
  channel.postMessage(chat.id);
}

export async function removeAll(): Promise<void> {
  for (const run of state.runs.values()) {
    removed.add(run.chat.id);
    run.abort();
  }
  await database.removeAll();
  state.chats = [];
  emit("chats");
  await open(null);
  channel.postMessage("");
}

export async function reload(): Promise<void> {
  state.chats = await database.allChats();
  emit("chats");
  channel.postMessage("");
}

export async function setModel(id: string): Promise<void> {
  state.model = preferences.model = id;
  if (state.chat) {
    state.chat.model = id;
    await save(state.chat);
  }
  emit("models");
}

export async function setSettings(changed: Settings): Promise<void> {
  if (!state.chat) state.settings = changed;
  else {
    state.chat.settings = changed;
    await save(state.chat);
  }
}

/** Show the latest branch of another version of a message. */
export async function choose(version: Message): Promise<void> {
  state.chat!.leaf = state.tree.latest(version).id;
  emit("path");
  await database.put([state.chat!]);
}
