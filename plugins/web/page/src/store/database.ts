// Chats in this browser's IndexedDB.
import { type DBSchema, type IDBPDatabase, openDB } from "idb";
import type { Chat, Message } from "../types";

interface Schema extends DBSchema {
  chats: { key: string; value: Chat; indexes: { updated: number } };
  messages: { key: string; value: Message; indexes: { chat: string } };
}

let opened: Promise<IDBPDatabase<Schema>> | undefined;

function database(): Promise<IDBPDatabase<Schema>> {
  opened ??= openDB<Schema>("tramontane", 1, {
    upgrade(db) {
      db.createObjectStore("chats", { keyPath: "id" }).createIndex("updated", "updated");
      db.createObjectStore("messages", { keyPath: "id" }).createIndex("chat", "chat");
    },
    blocking(_now, _wanted, event) {
      (event.target as IDBDatabase).close();
      opened = undefined;
    },
    terminated() {
      opened = undefined;
    },
  });
  return opened;
}

/** All chats, the latest first. */
export async function allChats(): Promise<Chat[]> {
  return (await (await database()).getAllFromIndex("chats", "updated")).reverse();
}

export async function getChat(id: string): Promise<Chat | undefined> {
  return (await database()).get("chats", id);
}

export async function messagesOf(chat: string): Promise<Message[]> {
  const found = await (await database()).getAllFromIndex("messages", "chat", chat);
  return found.sort((one, other) => one.created - other.created);
}

/** Chats and messages, all or none of them. */
export async function put(chats: Chat[], messages: Message[] = []): Promise<void> {
  const change = (await database()).transaction(["chats", "messages"], "readwrite");
  const all: Promise<unknown>[] = [];
  for (const chat of chats) all.push(change.objectStore("chats").put(chat));
  for (const message of messages) all.push(change.objectStore("messages").put(message));
  await Promise.all([...all, change.done]);
}

export async function removeChat(id: string): Promise<void> {
  const change = (await database()).transaction(["chats", "messages"], "readwrite");
  const keys = await change.objectStore("messages").index("chat").getAllKeys(id);
  const all: Promise<unknown>[] = keys.map((key) => change.objectStore("messages").delete(key));
  all.push(change.objectStore("chats").delete(id));
  await Promise.all([...all, change.done]);
}

export async function removeAll(): Promise<void> {
  const change = (await database()).transaction(["chats", "messages"], "readwrite");
  await Promise.all([change.objectStore("chats").clear(), change.objectStore("messages").clear(), change.done]);
}

/** Ids of chats that have a text, in any message. */
export async function searchMessages(words: string, isStale: () => boolean): Promise<Set<string>> {
  const wanted = words.toLocaleLowerCase();
  const found = new Set<string>();
  let cursor = await (await database()).transaction("messages").store.openCursor();
  while (cursor && !isStale()) {
    const { chat, text } = cursor.value;
    if (!found.has(chat) && text.toLocaleLowerCase().includes(wanted)) found.add(chat);
    cursor = await cursor.continue();
  }
  return found;
}
