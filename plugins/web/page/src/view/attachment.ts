// Attachments in messages: pictures, players, files.
import { el, icon } from "../dom";
import { text } from "../text";
import type { Attachment } from "../types";

const urls = new WeakMap<Blob, string>();

export function urlOf(blob: Blob): string {
  let url = urls.get(blob);
  if (!url) urls.set(blob, (url = URL.createObjectURL(blob)));
  return url;
}

export function attachmentView(one: Attachment, made: boolean): HTMLElement {
  if (one.kind === "image") {
    const url = urlOf(one.blob!);
    const picture = el("img", { src: url, alt: made ? text.madePicture : one.name, loading: "lazy" });
    return el("figure", { class: "picture" }, picture, made ? el("a", { href: url, download: one.name, class: "plain-button" }, icon("down"), text.download) : null);
  }
  if (one.kind === "audio") return el("audio", { controls: true, src: urlOf(one.blob!), "aria-label": one.name });
  return el("details", { class: "file" },
    el("summary", {}, icon("file"), el("span", { dir: "auto" }, one.name)),
    el("pre", { tabindex: "0", dir: "auto" }, (one.text ?? "").slice(0, 20_000)));
}
