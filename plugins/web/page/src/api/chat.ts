// POST /v1/chat/completions as a stream of what happens.
import { createParser } from "eventsource-parser";
import type { Message, Settings } from "../types";
import { ask, Away, ServerError } from "./client";
import { part } from "./parts";

export interface Writing {
  text(more: string): void;
  reasoning(more: string): void;
  call(index: number, id: string | undefined, name: string | undefined, more: string): void;
  tool(told: any): void;
  made(calls: any[]): void;
  usage(prompt: number, answer: number): void;
  ended(reason: string): void;
}

export async function body(model: string, settings: Settings, path: Message[], session: string | null): Promise<any> {
  const messages: any[] = settings.system.trim() ? [{ role: "system", content: settings.system }] : [];
  for (const message of path) messages.push(...(await written(message)));
  const asked: any = { model, messages, stream: true, stream_options: { include_usage: true } };
  const numbers = ["temperature", "top_p", "top_k", "min_p", "repetition_penalty", "max_tokens", "seed"] as const;
  for (const name of numbers) if (settings[name] !== null) asked[name] = settings[name];
  if (settings.reasoning_effort) asked.reasoning_effort = settings.reasoning_effort;
  if (settings.schema.trim()) {
    const schema = JSON.parse(settings.schema);
    asked.response_format = { type: "json_schema", json_schema: { name: "answer", schema, strict: true } };
  }
  if (session) Object.assign(asked, { session_id: session, tool_approvals: true });
  return asked;
}

async function written(message: Message): Promise<any[]> {
  if (message.role === "assistant") return message.text ? [{ role: "assistant", content: message.text }] : [];
  const attachments = message.attachments ?? [];
  if (!attachments.length) return [{ role: "user", content: message.text }];
  const files = attachments.filter((one) => one.kind === "text");
  const words = [...files.map((one) => fenced(one.name, one.text ?? "")), message.text].filter(Boolean).join("\n\n");
  const media = attachments.filter((one) => one.kind !== "text");
  if (!media.length) return [{ role: "user", content: words }];
  const parts = await Promise.all(media.map(part));
  if (words) parts.push({ type: "text", text: words });
  return [{ role: "user", content: parts }];
}

function fenced(name: string, content: string): string {
  const longest = Math.max(2, ...(content.match(/`+/g) ?? []).map((run) => run.length));
  const fence = "`".repeat(longest + 1);
  return `${name}:\n${fence}\n${content.replace(/\n$/, "")}\n${fence}`;
}

/** Raises Away where the stream breaks off, ServerError, or AbortError. */
export async function stream(asked: any, writing: Writing, signal: AbortSignal): Promise<void> {
  const response = await ask("v1/chat/completions", { body: asked, signal });
  let complete = false;
  let failed: ServerError | null = null;
  const parser = createParser({
    onEvent({ data }) {
      if (data === "[DONE]") complete = true;
      else {
        const told = JSON.parse(data);
        if (told.error) failed = new ServerError(500, String(told.error.message), told.error.code ?? null);
        else read(told, writing);
      }
    },
  });
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      parser.feed(value);
      if (failed) throw failed;
    }
  } catch (error) {
    if (signal.aborted || error instanceof ServerError) throw error;
    throw new Away();
  } finally {
    reader.cancel().catch(() => {});
  }
  if (!complete) throw new Away();
}

function read(told: any, writing: Writing): void {
  if (told.usage) writing.usage(told.usage.prompt_tokens, told.usage.completion_tokens);
  const choice = told.choices?.[0];
  if (!choice) return;
  const delta = choice.delta ?? {};
  if (delta.reasoning_content) writing.reasoning(delta.reasoning_content);
  if (delta.content) writing.text(delta.content);
  for (const call of delta.tool_calls ?? []) {
    writing.call(call.index ?? 0, call.id, call.function?.name, call.function?.arguments ?? "");
  }
  if (delta.server_tool) writing.tool(delta.server_tool);
  if (delta.server_tool_calls) writing.made(delta.server_tool_calls);
  if (choice.finish_reason) writing.ended(choice.finish_reason);
}
