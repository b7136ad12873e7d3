// What is kept of chats, and what the server says of its models.

export type Role = "user" | "assistant";
export type End = "writing" | "done" | "stopped" | "length" | "interrupted" | "failed";

export interface Attachment {
  kind: "image" | "audio" | "text";
  name: string;
  type: string;
  blob?: Blob;
  text?: string;
}

export interface Call {
  id: string;
  name: string;
  arguments: string;
  result?: string;
  state: "writing" | "asking" | "running" | "done" | "failed" | "denied";
  files?: string[];
  citations?: { url: string; title: string }[];
}

export interface Usage {
  prompt: number;
  answer: number;
  seconds: number;
}

export interface Message {
  id: string;
  chat: string;
  parent: string | null;
  role: Role;
  created: number;
  text: string;
  reasoning?: string;
  thoughtFor?: number;
  attachments?: Attachment[];
  calls?: Call[];
  model?: string;
  usage?: Usage;
  end?: End;
  error?: string;
}

export interface Settings {
  system: string;
  temperature: number | null;
  top_p: number | null;
  top_k: number | null;
  min_p: number | null;
  repetition_penalty: number | null;
  max_tokens: number | null;
  seed: number | null;
  reasoning_effort: string;
  schema: string;
  image_size: string;
  voice: string;
}

export interface Chat {
  id: string;
  title: string;
  named: boolean;
  created: number;
  updated: number;
  leaf: string | null;
  model: string;
  settings: Settings;
}

export interface Model {
  id: string;
  parent: string | null;
  status: string;
  context: number | null;
  tasks: string[] | null;
  inputs: string[] | null;
}

/** A tool that the server runs. */
export interface Tool {
  name: string;
  description: string;
  approval: string;
}

export const PLAIN: Settings = {
  system: "",
  temperature: null,
  top_p: null,
  top_k: null,
  min_p: null,
  repetition_penalty: null,
  max_tokens: null,
  seed: null,
  reasoning_effort: "",
  schema: "",
  image_size: "auto",
  voice: "",
};
