// Code blocks: a frame with the language and a copy button, colours, and visible direction marks.
import DOMPurify from "dompurify";
import hljs from "highlight.js/lib/core";
import bash from "highlight.js/lib/languages/bash";
import cpp from "highlight.js/lib/languages/cpp";
import diff from "highlight.js/lib/languages/diff";
import go from "highlight.js/lib/languages/go";
import java from "highlight.js/lib/languages/java";
import json from "highlight.js/lib/languages/json";
import python from "highlight.js/lib/languages/python";
import rust from "highlight.js/lib/languages/rust";
import sql from "highlight.js/lib/languages/sql";
import typescript from "highlight.js/lib/languages/typescript";
import xml from "highlight.js/lib/languages/xml";
import yaml from "highlight.js/lib/languages/yaml";
import { el, icon } from "../dom";
import { text } from "../text";

const LANGUAGES = { bash, cpp, diff, go, java, json, python, rust, sql, typescript, xml, yaml };
for (const [name, language] of Object.entries(LANGUAGES)) hljs.registerLanguage(name, language);
hljs.registerAliases(["c", "h"], { languageName: "cpp" });
hljs.registerAliases(["javascript", "js", "jsx", "mjs"], { languageName: "typescript" });
hljs.registerAliases(["toml", "ini"], { languageName: "yaml" });

const MOST_COLOURED = 30_000;
const FOLDED_LINES = 60;
/** Characters that change how a line looks without being seen: direction, and width of nothing. */
const HIDDEN = /[\u061C\u200B\u200E\u200F\u202A-\u202E\u2060\u2066-\u2069\uFEFF]/g;

/** The frame of a code block. open: it is still being written. */
export function codeBlock(code: string, language: string, open: boolean): HTMLElement {
  const body = el("code", { dir: "ltr" });
  fill(body, code, language, open);
  const copy = el("button", { type: "button", class: "copy", onclick: () => copyText(code, copy) }, icon("copy"), text.copyCode);
  const lines = code.split("\n").length;
  const block = el(
    "div",
    { class: "code-block" },
    el("div", { class: "code-head" }, el("span", {}, language || "text"), copy),
    el("pre", { tabindex: "0", "aria-label": language || "text" }, body),
  );
  if (!open && lines > FOLDED_LINES) fold(block, lines);
  return block;
}

function fill(body: HTMLElement, code: string, language: string, open: boolean): void {
  const name = language.toLowerCase();
  if (open || !name || code.length > MOST_COLOURED || !hljs.getLanguage(name)) body.append(visible(code));
  else {
    const { value } = hljs.highlight(code, { language: name, ignoreIllegals: true });
    const clean = DOMPurify.sanitize(value, { ALLOWED_TAGS: ["span"], ALLOWED_ATTR: ["class"], RETURN_DOM_FRAGMENT: true });
    const walker = document.createTreeWalker(clean, NodeFilter.SHOW_TEXT);
    const texts: Text[] = [];
    while (walker.nextNode()) texts.push(walker.currentNode as Text);
    for (const one of texts) if (one.data.search(HIDDEN) >= 0) one.replaceWith(visible(one.data));
    body.append(clean);
  }
}

/** A text in which hidden characters are seen, so that code is what it looks like. */
function visible(code: string): DocumentFragment {
  const found = document.createDocumentFragment();
  let from = 0;
  for (const match of code.matchAll(HIDDEN)) {
    const name = `U+${match[0].codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}`;
    found.append(code.slice(from, match.index), el("span", { class: "hidden-character" }, name));
    from = match.index + match[0].length;
  }
  found.append(code.slice(from));
  return found;
}

function fold(block: HTMLElement, lines: number): void {
  block.classList.add("folded");
  const toggle = el("button", {
    type: "button", class: "fold", "aria-expanded": "false",
    onclick: () => {
      const folded = block.classList.toggle("folded");
      toggle.setAttribute("aria-expanded", String(!folded));
      toggle.textContent = folded ? `${text.showAll} (${text.lines(lines)})` : text.showLess;
    },
  }, `${text.showAll} (${text.lines(lines)})`);
  block.append(toggle);
}

export async function copyText(content: string, button: HTMLElement): Promise<void> {
  await navigator.clipboard.writeText(content);
  const before = [...button.childNodes];
  const label = button.getAttribute("aria-label");
  const words = before.some((node) => node instanceof Text);
  button.replaceChildren(icon("check"), words ? text.copied : "");
  if (label) button.setAttribute("aria-label", text.copied);
  setTimeout(() => {
    button.replaceChildren(...before);
    if (label) button.setAttribute("aria-label", label);
  }, 1500);
}
