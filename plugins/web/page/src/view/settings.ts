// Settings of the open chat, and of the page.
import { key } from "../api/client";
import { setSettings } from "../chats";
import { el } from "../dom";
import { settings, state } from "../state";
import { applyTheme, preferences, type Theme } from "../store/preferences";
import { text } from "../text";
import { PLAIN, type Settings } from "../types";
import { dialog } from "./dialogs";
import { askKey } from "./key";
import { notice } from "./notices";

type Numeric = { [K in keyof Settings]: Settings[K] extends number | null ? K : never }[keyof Settings];
const NUMBERS: [Numeric, string, number, number, number][] = [
  ["temperature", text.temperature, 0, 2, 0.05],
  ["top_p", text.topP, 0, 1, 0.01],
  ["top_k", text.topK, 0, 1000, 1],
  ["min_p", text.minP, 0, 1, 0.01],
  ["repetition_penalty", text.repetition, 0.5, 2, 0.01],
  ["max_tokens", text.maxTokens, 1, 1_000_000, 1],
  ["seed", text.seed, 0, 2 ** 53, 1],
];

export function openSettings(): void {
  const now = { ...settings() };
  const change = (part: Partial<Settings>) => void setSettings(Object.assign(now, part));
  const box = dialog(text.settings, "sheet",
    el("section", {}, el("h3", {}, text.thisChat), ...ofChat(now, change),
      el("div", { class: "buttons" },
        el("button", { type: "button", class: "button", onclick: () => { change({ ...PLAIN }); box.close(); openSettings(); } }, text.reset),
        el("button", { type: "button", class: "button", onclick: () => { preferences.settings = state.settings = { ...now }; notice(text.usedForNew); } }, text.useForNew))),
    el("section", {}, el("h3", {}, text.tools), ...ofTools()),
    el("section", {}, el("h3", {}, text.thisPage), ...ofPage()));
}

function* ofChat(now: Settings, change: (part: Partial<Settings>) => void): Iterable<HTMLElement> {
  const system = el("textarea", { rows: 4, dir: "auto", onchange: () => change({ system: system.value }) });
  system.value = now.system;
  yield field(text.system, system, text.systemHint);
  yield el("div", { class: "numbers" }, ...NUMBERS.map(([name, label, min, max, step]) => {
    const input = el("input", {
      type: "number", min, max, step, placeholder: text.byModel, value: now[name], inputmode: "decimal",
      onchange: () => { if (input.checkValidity()) change({ [name]: input.value === "" ? null : Number(input.value) }); else input.reportValidity(); },
    });
    return field(label, input);
  }), field(text.effort, options(text.efforts, now.reasoning_effort, (reasoning_effort) => change({ reasoning_effort }))));
  yield schemaField(now, change);
  const size = el("input", { type: "text", value: now.image_size, pattern: "auto|[1-9][0-9]{0,4}x[1-9][0-9]{0,4}", placeholder: "1024x1024", onchange: () => size.reportValidity() && change({ image_size: size.value || "auto" }) });
  const voice = el("input", { type: "text", value: now.voice, placeholder: text.byModel, onchange: () => change({ voice: voice.value.trim() }) });
  yield el("div", { class: "numbers" }, field(text.imageSize, size), field(text.voice, voice));
}

function schemaField(now: Settings, change: (part: Partial<Settings>) => void): HTMLElement {
  const wrong = el("p", { class: "end error", role: "alert", hidden: true });
  const input = el("textarea", {
    rows: 3, class: "code", spellcheck: "false", placeholder: '{"type": "object", "properties": {…}}',
    onchange: () => {
      try {
        const schema = input.value.trim() ? JSON.parse(input.value) : {};
        if (typeof schema !== "object" || schema === null || Array.isArray(schema)) throw new Error("{…}");
        change({ schema: input.value.trim() });
        wrong.hidden = true;
      } catch (error) {
        wrong.textContent = text.schemaWrong((error as Error).message);
        wrong.hidden = false;
      }
    },
  });
  input.value = now.schema;
  return el("div", {}, field(text.schema, input, text.schemaHint), wrong);
}

function* ofTools(): Iterable<HTMLElement> {
  for (const { name, description, approval } of state.tools) {
    yield el("div", { class: "field" }, el("code", {}, name), " ", el("small", {}, `${text.approvals[approval] ?? approval}. ${description}`));
  }
  if (!state.tools.length) yield el("p", { class: "note" }, text.noTools);
}

function* ofPage(): Iterable<HTMLElement> {
  yield field(text.theme, options(text.themes, preferences.theme, (theme) => {
    preferences.theme = theme as Theme;
    applyTheme();
  }));
  if (key()) yield el("button", { type: "button", class: "button", onclick: () => void askKey(text.keyNeeded) }, text.keyChange);
  yield el("p", { class: "links" },
    el("a", { href: "docs", target: "_blank" }, text.api), el("a", { href: "licences.txt", target: "_blank" }, text.licences));
}

function field(label: string, input: HTMLElement, hint = ""): HTMLElement {
  return el("label", { class: "field" }, el("span", {}, label), input, hint ? el("small", {}, hint) : null);
}

function options(all: Record<string, string>, now: string, change: (value: string) => void): HTMLSelectElement {
  const found = el("select", { onchange: () => change(found.value) }, ...Object.entries(all).map(([value, label]) => el("option", { value }, label)));
  found.value = now;
  return found;
}
