// What the page shows now, and who hears of its changes.
import { preferences } from "./store/preferences";
import { Tree } from "./store/tree";
import type { Chat, Message, Model, Settings, Tool } from "./types";

interface Events {
  /** The list of chats. */
  chats: void;
  /** Another chat is open. */
  chat: void;
  /** Another branch, or a message more. */
  path: void;
  /** One message has changed. */
  message: Message;
  models: void;
  /** An answer has begun or ended, in any chat. */
  runs: void;
}

export interface Run {
  abort(): void;
  chat: Chat;
  message: Message;
}

export const state = {
  chats: [] as Chat[],
  chat: null as Chat | null,
  tree: new Tree([]),
  models: [] as Model[],
  /** What models may use; the server runs them. */
  tools: [] as Tool[],
  /** The model of a new chat. */
  model: preferences.model,
  /** The settings of a new chat. */
  settings: preferences.settings as Settings,
  /** Answers that are being written, by chat. */
  runs: new Map<string, Run>(),
};

const listeners: { [name: string]: ((value: any) => void)[] } = {};

export function on<K extends keyof Events>(event: K, listener: (value: Events[K]) => void): void {
  (listeners[event] ??= []).push(listener);
}

export function emit<K extends keyof Events>(event: K, ...value: Events[K] extends void ? [] : [Events[K]]): void {
  for (const listener of listeners[event] ?? []) listener(value[0]);
}

export function path(): Message[] {
  return state.chat ? state.tree.path(state.chat.leaf) : [];
}

export function settings(): Settings {
  return state.chat?.settings ?? state.settings;
}

/** The model that answers next; undefined while the server has told of none. */
export function model(): Model | undefined {
  const wanted = state.chat?.model || state.model;
  return state.models.find((one) => one.id === wanted) ?? state.models[0];
}

export function running(): boolean {
  return !!state.chat && state.runs.has(state.chat.id);
}
