// Markdown as elements. A model's HTML is shown as text; links go out, nothing is loaded.
import DOMPurify from "dompurify";
import { Marked, type Token, type TokensList } from "marked";
import { el } from "../dom";
import { text } from "../text";
import { codeBlock } from "./code";
import { drawMath, escape, mathBlock, mathInline } from "./math";

const LONGEST = 200_000;
const LONGEST_PART = 12_000;
const FENCE = /^ {0,3}(?:```|~~~)/;
/** Lines that begin a cell or an item of their own. */
const APART = /^\s*(?:[|#*+-]|\d+[.)])/;
const PLAIN_HTML = /^<\/?(?:br|sub|sup|kbd|mark|u)\s*\/?>$/i;
const LINK = /^(?:https?|mailto):/i;
const TAGS = [
  "a", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "input", "kbd", "li",
  "mark", "ol", "p", "pre", "span", "strong", "sub", "sup", "table", "tbody", "td", "th", "thead", "tr", "u", "ul",
];
const ATTRIBUTES = ["href", "title", "align", "start", "type", "checked", "disabled", "class"];

const marked = new Marked({
  gfm: true,
  breaks: true,
  extensions: [mathInline, mathBlock],
  renderer: {
    html: ({ text: html }) => (PLAIN_HTML.test(html.trim()) ? html : escape(html)),
    image: ({ href, text: alt }) =>
      LINK.test(href) ? `<a href="${escape(href)}">${escape(text.blockedPicture(alt))}</a>` : escape(text.blockedPicture(alt)),
    link({ href, title, tokens }) {
      const label = this.parser.parseInline(tokens);
      return LINK.test(href) ? `<a href="${escape(href)}" title="${escape(title ? `${title}: ${href}` : href)}">${label}</a>` : label;
    },
    checkbox: ({ checked }) => `<input type="checkbox" disabled${checked ? " checked" : ""}> `,
  },
});

/** The blocks of a text in order; each has the text that it is of, as `raw`. */
export function blocksOf(source: string): TokensList {
  return marked.lexer(source);
}

/** Whether the parser might take seconds: it is quadratic in what belongs together. */
export function tooLarge(source: string): boolean {
  if (source.length > LONGEST) return true;
  let together = 0;
  let fenced = false;
  for (const line of source.split("\n")) {
    if (FENCE.test(line)) fenced = !fenced;
    together = fenced || !line.trim() || APART.test(line) ? line.length : together + line.length;
    if (together > LONGEST_PART) return true;
  }
  return false;
}

/** A block as an element. open: it may go on. */
export function blockElement(token: Token, links: TokensList["links"], open: boolean): HTMLElement {
  if (token.type === "code") return codeBlock(token.text, (token.lang ?? "").split(/\s/)[0] ?? "", open);
  const list = Object.assign([token], { links }) as unknown as TokensList;
  const clean = DOMPurify.sanitize(marked.parser(list), {
    ALLOWED_TAGS: TAGS, ALLOWED_ATTR: ATTRIBUTES, ALLOWED_URI_REGEXP: LINK, RETURN_DOM_FRAGMENT: true,
    ADD_URI_SAFE_ATTR: ATTRIBUTES.filter((name) => name !== "href"),
  });
  const block = el("div", { class: "block", dir: "auto" }, clean);
  for (const link of block.querySelectorAll("a")) {
    link.target = "_blank";
    link.rel = "noopener noreferrer nofollow";
  }
  for (const box of block.querySelectorAll("input")) box.setAttribute("aria-label", box.checked ? "✓" : "–");
  for (const table of block.querySelectorAll("table")) {
    const frame = el("div", { class: "table", tabindex: "0" });
    table.replaceWith(frame);
    frame.append(table);
  }
  for (const pre of block.querySelectorAll("pre")) {
    const code = pre.querySelector("code");
    const language = /language-(\S+)/.exec(code?.className ?? "")?.[1] ?? "";
    pre.replaceWith(codeBlock((pre.textContent ?? "").replace(/\n$/, ""), language, open));
  }
  drawMath(block);
  return block;
}

/** All of a text at once; one that is nested too deeply for the parser as it is. */
export function rendered(source: string): HTMLElement[] {
  if (tooLarge(source)) return [plain(source)];
  try {
    const tokens = blocksOf(source);
    return tokens.filter((token) => token.type !== "space" && token.type !== "def").map((token) => blockElement(token, tokens.links, false));
  } catch {
    return [plain(source)];
  }
}

export function plain(source: string): HTMLElement {
  return el("div", { class: "block plain" }, el("p", { class: "note" }, text.plainText), el("pre", { tabindex: "0", dir: "auto" }, source));
}
