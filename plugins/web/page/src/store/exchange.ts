// Chats as files, and files as chats. What a file has is checked before it is kept.
import { base64 } from "../api/parts";
import { type Attachment, type Call, type Chat, type Message, PLAIN, type Settings } from "../types";
import { messagesOf, put } from "./database";
import { fromMarkdown } from "./markdown_file";

const FORM = "tramontane-chats";
const VERSION = 1;
const MOST_CHATS = 10_000;

export async function toJson(chats: Chat[]): Promise<string> {
  const found = [];
  for (const chat of chats) {
    const messages = await Promise.all((await messagesOf(chat.id)).map(packed));
    found.push({ ...chat, messages });
  }
  return `${JSON.stringify({ form: FORM, version: VERSION, chats: found }, null, 1)}\n`;
}

async function packed(message: Message): Promise<any> {
  if (!message.attachments) return message;
  const attachments = [];
  for (const { blob, ...rest } of message.attachments) {
    attachments.push(blob ? { ...rest, data: await base64(blob) } : rest);
  }
  return { ...message, attachments };
}

/** Keep the chats of a file under new ids, and say how many. Raises Error for another file. */
export async function importFile(content: string): Promise<number> {
  const found = content.trimStart().startsWith("{") ? fromJson(content) : fromText(content);
  if (!found.length) throw new Error("no chats");
  for (const { chat, messages } of found) await put([chat], messages);
  return found.length;
}

interface Found {
  chat: Chat;
  messages: Message[];
}

function fromText(content: string): Found[] {
  const told = fromMarkdown(content);
  if (!told) return [];
  const chat = plain({ title: told.title });
  let parent: string | null = null;
  const messages = told.turns.map(({ role, text }, index): Message => {
    const id = crypto.randomUUID();
    const message: Message = { id, chat: chat.id, parent, role, text, created: chat.created + index, end: "done" };
    parent = id;
    return message;
  });
  return [{ chat: { ...chat, leaf: parent }, messages }];
}

function fromJson(content: string): Found[] {
  const told = JSON.parse(content);
  if (told.form !== FORM || told.version !== VERSION || !Array.isArray(told.chats)) return [];
  return told.chats.slice(0, MOST_CHATS).map(checkedChat);
}

function checkedChat(given: any): Found {
  const chat = plain(given);
  const ids = new Map<string, string>();
  const list: any[] = Array.isArray(given.messages) ? given.messages : [];
  for (const one of list) ids.set(words(one.id), crypto.randomUUID());
  const messages = list.map((one): Message => ({
    id: ids.get(words(one.id))!,
    chat: chat.id,
    parent: ids.get(words(one.parent)) ?? null,
    role: one.role === "user" ? "user" : "assistant",
    created: number(one.created) ?? chat.created,
    text: words(one.text),
    reasoning: words(one.reasoning) || undefined,
    thoughtFor: number(one.thoughtFor) ?? undefined,
    model: words(one.model) || undefined,
    end: one.end === "writing" ? "interrupted" : (["done", "stopped", "length", "interrupted", "failed"].find((end) => end === one.end) as any ?? "done"),
    error: words(one.error) || undefined,
    attachments: Array.isArray(one.attachments) ? one.attachments.map(attachment) : undefined,
    calls: Array.isArray(one.calls) ? one.calls.map(call) : undefined,
  }));
  return { chat: { ...chat, leaf: ids.get(words(given.leaf)) ?? messages.at(-1)?.id ?? null }, messages };
}

function plain(given: any): Chat {
  const now = Date.now();
  const title = words(given.title).slice(0, 200);
  return {
    id: crypto.randomUUID(),
    title,
    named: !!title,
    created: number(given.created) ?? now,
    updated: number(given.updated) ?? now,
    leaf: null,
    model: words(given.model),
    settings: checkedSettings(given.settings ?? {}),
  };
}

function checkedSettings(given: any): Settings {
  const found: any = { ...PLAIN };
  for (const [name, value] of Object.entries(PLAIN)) {
    if (typeof value === "string") found[name] = words(given[name]) || value;
    else found[name] = number(given[name]);
  }
  return found;
}

function attachment(given: any): Attachment {
  const kind = ["image", "audio"].find((one) => one === given.kind) as "image" | "audio" | undefined;
  const found: Attachment = { kind: kind ?? "text", name: words(given.name), type: words(given.type) };
  if (!kind) return { ...found, text: words(given.text) };
  const bytes = Uint8Array.from(atob(words(given.data)), (letter) => letter.charCodeAt(0));
  const type = new RegExp(`^${kind}/[a-z0-9.+-]+$`).test(found.type) && found.type !== "image/svg+xml" ? found.type : `${kind}/*`;
  return { ...found, type, blob: new Blob([bytes], { type }) };
}

function call(given: any): Call {
  const found: Call = { id: words(given.id), name: words(given.name), arguments: words(given.arguments), state: "done" };
  if (Array.isArray(given.citations)) found.citations = given.citations.filter((one: any) => /^https?:/i.test(one?.url)).map((one: any) => ({ url: one.url, title: words(one.title) }));
  return given.result === undefined ? found : { ...found, result: words(given.result) };
}

function words(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function number(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}
