// TeX in Markdown: $...$, $$...$$, \(...\) and \[...\], drawn as MathML.
import type { TokenizerAndRendererExtension } from "marked";
// its sources: the built file is a quarter larger
// @ts-expect-error they have no types
import temml from "temml/temml.js";

const LONGEST = 5000;
const INLINE = /^(?:\$\$((?:\\.|[^\\$\n])+?)\$\$|\$(?![\s\d.,]*\s)((?:\\.|[^\\$\n])+?)(?<!\s)\$(?!\d)|\\\((.+?)\\\))/;
const BLOCK = /^(?:\$\$([^$]+?)\$\$|\\\[([\s\S]+?)\\\])[ \t]*(?:\n|$)/;

function placeholder(tex: string, display: boolean): string {
  return `<span class="math${display ? " display" : ""}">${escape(tex)}</span>`;
}

export function escape(text: string): string {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/"/g, "&quot;");
}

export const mathInline: TokenizerAndRendererExtension = {
  name: "mathInline",
  level: "inline",
  start: (source) => {
    const at = source.search(/\$|\\\(/);
    return at < 0 ? undefined : at;
  },
  tokenizer(source) {
    const match = INLINE.exec(source);
    if (!match) return undefined;
    return { type: "mathInline", raw: match[0], tex: match[1] ?? match[2] ?? match[3], display: match[1] !== undefined };
  },
  renderer: (token) => placeholder(token.tex, token.display),
};

export const mathBlock: TokenizerAndRendererExtension = {
  name: "mathBlock",
  level: "block",
  start: (source) => {
    const at = source.search(/(?:^|\n)(?:\$\$|\\\[)/);
    return at < 0 ? undefined : at;
  },
  tokenizer(source) {
    const match = BLOCK.exec(source);
    if (!match) return undefined;
    return { type: "mathBlock", raw: match[0], tex: match[1] ?? match[2] };
  },
  renderer: (token) => placeholder(token.tex, true),
};

/** Draw what stands in for math in a fragment. What cannot be drawn stays TeX. */
export function drawMath(root: ParentNode): void {
  for (const place of root.querySelectorAll<HTMLElement>("span.math")) {
    const tex = place.textContent ?? "";
    if (tex.length > LONGEST) continue;
    const target = document.createElement("span");
    try {
      // elements, not markup; no commands that load or link
      temml.render(tex, target, {
        displayMode: place.classList.contains("display"),
        trust: false,
        strict: false,
        throwOnError: true,
        maxExpand: 200,
        maxSize: [20, 200],
      });
      target.querySelector("math")?.setAttribute("aria-label", tex);
      place.replaceChildren(...target.childNodes);
    } catch {
      place.classList.add("wrong");
    }
  }
}
