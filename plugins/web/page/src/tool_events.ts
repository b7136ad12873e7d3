// What the server says of tools that it runs: notices on the way, and records at the end.
import { ask } from "./api/client";
import type { Call, Message } from "./types";

/** Take a notice of a tool into a message: that it waits for approval, has begun, or has ended. */
export function noticed(message: Message, told: any): void {
  const calls = (message.calls ??= []);
  const id = words(told.id);
  let call = calls.find((one) => one.id === id);
  if (!call) calls.push((call = { id, name: words(told.name), arguments: words(told.arguments ?? {}), state: "running" }));
  if (told.type === "approval") call.state = "asking";
  else if (told.type === "started" && call.state !== "denied") call.state = "running";
  else if (told.type === "finished") {
    call.result = words(told.result);
    call.files = (told.files ?? []).map(words);
    call.citations = (told.citations ?? []).filter((one: any) => /^https?:/i.test(one?.url)).map((one: any) => ({ url: one.url, title: words(one.title) }));
    if (call.state !== "denied") call.state = "done";
  }
}

/** The calls of a whole answer, for servers that tell of none on the way. */
export function recorded(message: Message, made: any[]): void {
  if (message.calls?.length) return;
  message.calls = made.map((one) => ({
    id: words(one.id ?? ""), name: words(one.name), arguments: words(one.arguments),
    ...(one.result === undefined ? {} : { result: words(one.result) }), state: "done",
  }));
}

/** Answer for a call that waits. */
export async function decide(call: Call, allow: boolean, remember: boolean): Promise<void> {
  await ask(`v1/agent/approvals/${encodeURIComponent(call.id)}`, { body: { allow, remember } });
  call.state = allow ? "running" : "denied";
}

function words(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value ?? "", null, 1);
}
