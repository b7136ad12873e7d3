// A chat's current branch as Markdown, and back.
import type { Chat, Message } from "../types";

const MARK = /^<!-- tramontane: (user|assistant) -->$/;

export function toMarkdown(chat: Chat, path: Message[]): string {
  const parts = [`# ${chat.title}`];
  if (chat.settings.system.trim()) parts.push(quoted(chat.settings.system));
  for (const message of path) {
    const head = message.role === "user" ? "## You" : `## ${message.model ?? "Answer"}`;
    const body = [`<!-- tramontane: ${message.role} -->`, head, ""];
    for (const one of message.attachments ?? []) body.push(`*${one.name}*`, "");
    if (message.reasoning) body.push("<details><summary>Thoughts</summary>", "", escaped(message.reasoning), "", "</details>", "");
    for (const call of message.calls ?? []) body.push(quoted(`${call.name}(${call.arguments})\n${call.result ?? ""}`), "");
    body.push("<!-- text -->", escaped(message.text));
    parts.push(body.join("\n"));
  }
  return `${parts.join("\n\n")}\n`;
}

/** The title, and messages by role; null for a text that `toMarkdown` has not written. */
export function fromMarkdown(given: string): { title: string; turns: { role: "user" | "assistant"; text: string }[] } | null {
  const lines = given.replace(/\r\n/g, "\n").split("\n");
  const title = lines[0]?.match(/^# (.*)$/)?.[1];
  if (title === undefined) return null;
  const turns: { role: "user" | "assistant"; text: string }[] = [];
  let text: string[] | null = null;
  for (const line of lines) {
    const mark = line.match(MARK);
    if (mark) {
      turns.push({ role: mark[1] as "user" | "assistant", text: "" });
      text = null;
    } else if (text === null && line === "<!-- text -->" && turns.length) text = [];
    else if (text) {
      text.push(line);
      turns[turns.length - 1]!.text = text.join("\n").trim().replace(/^\\(<!--)/gm, "$1");
    }
  }
  return turns.length ? { title, turns } : null;
}

function escaped(text: string): string {
  return text.replace(/^<!--/gm, "\\<!--");
}

function quoted(text: string): string {
  return text.split("\n").map((line) => `> ${line}`).join("\n");
}
