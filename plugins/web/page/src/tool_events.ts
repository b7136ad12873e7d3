// What the server says of tools that it runs: records at the end, and events on the way.
import { ask } from "./api/client";
import type { Call, Message } from "./types";

/** Take an event into a message's calls; whether it was one about tools. */
export function heard(message: Message, name: string, data: any): boolean {
  if (name === "server_tool_calls") {
    const calls = (message.calls ??= []);
    for (const made of data as any[]) finish(calls, made);
    return true;
  }
  return false;
}

function finish(calls: Call[], made: any): void {
  const id = String(made.id ?? "");
  const known = calls.find((call) => id && call.id === id);
  const call = known ?? { id, name: words(made.name), arguments: words(made.arguments), state: "done" as const };
  if (!known) calls.push(call);
  if (made.result !== undefined) call.result = words(made.result);
  call.state = "done";
}

/** Answer a tool's question for approval. */
export async function decide(call: Call, approved: boolean, remember: boolean): Promise<void> {
  const body = { decision: approved ? "approve" : "deny", remember_for_session: remember };
  await ask(`v1/agent/approvals/${encodeURIComponent(call.approval!)}`, { body });
}

function words(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value ?? "", null, 1);
}
