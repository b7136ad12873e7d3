// A tool's call: what was asked, whether it may, and what came of it.
import { decide } from "../tool_events";
import { el, icon } from "../dom";
import { codeBlock } from "../render/code";
import { text } from "../text";
import type { Call } from "../types";
import { notice } from "./notices";

const LONGEST = 20_000;
const SAID: Record<Call["state"], string> = {
  writing: text.toolWriting, asking: text.toolAsks, running: text.toolRuns,
  done: text.toolDone, failed: text.toolFailed, denied: text.toolDenied,
};

export function toolCard(call: Call, wasOpen: boolean): HTMLElement {
  const asks = call.state === "asking";
  const card = el("details", { class: `tool ${call.state}`, open: asks || wasOpen },
    el("summary", {}, icon("tool"), el("code", { dir: "auto" }, call.name || text.tool), el("span", { class: "state" }, SAID[call.state])),
    el("div", { class: "tool-body" },
      el("h3", {}, text.toolArguments), codeBlock(pretty(call.arguments), "json", call.state === "writing"),
      ...(call.result === undefined ? [] : [el("h3", {}, text.toolResult), result(call.result)])));
  if (asks) card.append(question(call, card));
  return card;
}

function result(value: string): HTMLElement {
  const json = /^\s*[[{]/.test(value);
  return codeBlock((json ? pretty(value) : value).slice(0, LONGEST), json ? "json" : "", false);
}

function question(call: Call, card: HTMLElement): HTMLElement {
  const choose = (approved: boolean, remember: boolean) => async () => {
    for (const button of buttons) button.disabled = true;
    try {
      await decide(call, approved, remember);
      card.replaceWith(toolCard(call, true));
    } catch (error) {
      for (const button of buttons) button.disabled = false;
      notice(text.failed((error as Error).message), "error");
    }
  };
  const buttons = [
    el("button", { type: "button", class: "button primary", onclick: choose(true, false) }, text.approve),
    el("button", { type: "button", class: "button", onclick: choose(true, true) }, text.approveAlways),
    el("button", { type: "button", class: "button danger", onclick: choose(false, false) }, text.deny),
  ];
  return el("div", { class: "buttons", role: "group", "aria-label": text.toolAsks }, ...buttons);
}

function pretty(json: string): string {
  try {
    return JSON.stringify(JSON.parse(json), null, 2);
  } catch {
    return json;
  }
}
