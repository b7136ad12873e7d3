// Asking the model: sending, answering again, stopping; what happens to an answer on its way.
import { Away, ServerError } from "./api/client";
import * as connection from "./api/connection";
import * as chat_api from "./api/chat";
import { draw, speak } from "./api/media";
import { taskOf } from "./api/models";
import * as chats from "./chats";
import { emit, model, path, state } from "./state";
import { text } from "./text";
import { noticed, recorded } from "./tool_events";
import type { Attachment, Chat, Message } from "./types";
import { announce } from "./view/notices";

const SAVE_EVERY = 1000;

export function stop(): void {
  if (state.chat) state.runs.get(state.chat.id)?.abort();
}

/** Send a message at the end of the branch, or, with `instead`, as another version of one. */
export async function send(words: string, attachments: Attachment[], instead?: Message): Promise<void> {
  const chat = state.chat ?? chats.create(titleOf(words, attachments));
  const message: Message = {
    id: crypto.randomUUID(), chat: chat.id, parent: instead ? instead.parent : chat.leaf, role: "user",
    created: Date.now(), text: words, ...(attachments.length ? { attachments } : {}),
  };
  await grow(chat, message);
  await answer(chat, message);
}

/** Another answer in place of one. */
export async function again(old: Message): Promise<void> {
  const asked = state.tree.get(old.parent);
  if (asked && state.chat) await answer(state.chat, asked);
}

async function grow(chat: Chat, message: Message): Promise<void> {
  state.tree.add(message);
  chat.leaf = message.id;
  chat.updated = Date.now();
  emit("path");
  await chats.save(chat, message);
}

async function answer(chat: Chat, asked: Message): Promise<void> {
  const used = model();
  if (state.runs.has(chat.id)) return;
  const message: Message = {
    id: crypto.randomUUID(), chat: chat.id, parent: asked.id, role: "assistant",
    created: Math.max(Date.now(), asked.created + 1), text: "", model: used?.id, end: "writing",
  };
  const run = new AbortController();
  state.runs.set(chat.id, { abort: () => run.abort(), chat, message });
  const tree = state.tree;
  const before = tree.path(asked.id);
  await grow(chat, message);
  emit("runs");
  announce(text.writing);
  try {
    const task = taskOf(used);
    for (;;) {
      try {
        if (task === "image") await drawn(chat, message, asked, run.signal);
        else if (task === "speech") await spoken(chat, message, asked, run.signal);
        else await written(chat, message, before, run.signal);
        break;
      } catch (error) {
        if (!(error instanceof Away)) throw error;
        connection.lost();
        if (message.text || message.reasoning || message.calls) throw error;
        message.error = text.waiting;
        emit("message", message);
        await connection.answered(run.signal);
        delete message.error;
      }
    }
  } catch (error) {
    ended(message, error, run.signal);
  }
  if (message.end === "writing") message.end = "done";
  state.runs.delete(chat.id);
  if (state.chat?.id === chat.id) state.tree.add(message);
  emit("message", message);
  emit("runs");
  announce(message.error ?? `${text.complete} ${message.text.slice(0, 1000)}`);
  await chats.save(chat, message);
}

function ended(message: Message, error: unknown, signal: AbortSignal): void {
  if (signal.aborted) {
    message.end = "stopped";
    delete message.error;
  } else if (error instanceof Away) message.end = "interrupted";
  else {
    message.end = "failed";
    message.error = error instanceof ServerError ? error.message : String((error as Error)?.message ?? text.unknownError);
    if (!(error instanceof ServerError)) console.error(error);
  }
  for (const call of message.calls ?? []) if (call.state !== "done" && call.state !== "denied") call.state = "failed";
}

async function written(chat: Chat, message: Message, before: Message[], signal: AbortSignal): Promise<void> {
  const asked = await chat_api.body(message.model ?? "", chat.settings, before, state.tools.length ? chat.id : null);
  let began = 0;
  let thinking = 0;
  let saved = performance.now();
  const changed = () => {
    began ||= performance.now();
    emit("message", message);
    if (performance.now() - saved > SAVE_EVERY) {
      saved = performance.now();
      void chats.keep(chat, [message]);
    }
  };
  await chat_api.stream(asked, {
    text(more) {
      if (thinking) {
        message.thoughtFor = (message.thoughtFor ?? 0) + (performance.now() - thinking) / 1000;
        thinking = 0;
      }
      message.text += more.replace(/\r\n?/g, "\n");
      changed();
    },
    reasoning(more) {
      thinking ||= performance.now();
      message.reasoning = (message.reasoning ?? "") + more;
      changed();
    },
    call(index, id, name, more) {
      const calls = (message.calls ??= []);
      const call = (calls[index] ??= { id: id ?? "", name: "", arguments: "", state: "writing" });
      call.name += name ?? "";
      call.arguments += more;
      changed();
    },
    tool(told) {
      noticed(message, told);
      if (told.type === "approval") announce(`${told.name} ${text.toolAsks}`);
      changed();
    },
    made(calls) {
      recorded(message, calls);
      changed();
    },
    usage(prompt, count) {
      message.usage = { prompt, answer: count, seconds: began ? (performance.now() - began) / 1000 : 0 };
    },
    ended(reason) {
      if (reason === "length") message.end = "length";
      for (const call of message.calls ?? []) if (call.state === "writing") call.state = "done";
    },
  }, signal);
}

async function drawn(chat: Chat, message: Message, asked: Message, signal: AbortSignal): Promise<void> {
  const blob = await draw(message.model!, asked.text, chat.settings.image_size || "auto", chat.settings.seed, signal);
  message.attachments = [{ kind: "image", name: `${text.picture}.png`, type: "image/png", blob }];
}

async function spoken(chat: Chat, message: Message, asked: Message, signal: AbortSignal): Promise<void> {
  const blob = await speak(message.model!, asked.text, chat.settings.voice, chat.settings.seed, signal);
  message.attachments = [{ kind: "audio", name: "speech.wav", type: "audio/wav", blob }];
}

function titleOf(words: string, attachments: Attachment[]): string {
  const line = words.trim().split("\n")[0] ?? "";
  return line.slice(0, 80) || attachments[0]?.name || text.untitled;
}

/** The last message of the user, to edit it. */
export function lastAsked(): Message | undefined {
  return path().findLast((message) => message.role === "user");
}
