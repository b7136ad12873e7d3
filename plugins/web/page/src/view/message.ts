// One message: a light shell until it comes near what is seen, then all of it.
import { again } from "../answer";
import { modelFor } from "../api/models";
import { choose } from "../chats";
import { el, iconButton } from "../dom";
import { copyText } from "../render/code";
import { LiveText } from "../render/live";
import { rendered } from "../render/markdown";
import { state } from "../state";
import { text } from "../text";
import type { Message } from "../types";
import { attachmentView } from "./attachment";
import { edit } from "./edit";
import { read } from "./listen";
import { toolCard } from "./tool_card";

export class MessageView {
  readonly element: HTMLElement;
  private body: HTMLElement | null = null;
  private words = el("div", { class: "prose" });
  private live: LiveText | null = null;
  private thoughts: HTMLDetailsElement | null = null;
  private liveThoughts: LiveText | null = null;
  private tools = el("div", { class: "tools" });
  private more = el("div", { class: "more" });
  private toolsDrawn = "";
  private versionsDrawn = 0;

  constructor(public message: Message, private grew: () => void) {
    const mine = message.role === "user";
    this.element = el("article", { class: `message ${message.role}`, "data-id": message.id, "aria-label": mine ? text.you : (message.model ?? text.assistant) },
      el("div", { class: "pending", dir: "auto" }, message.text));
  }

  /** Make all of it, once. */
  complete(): void {
    if (this.body) return;
    this.body = el("div", { class: "message-body" });
    this.element.replaceChildren(this.body);
    this.body.append(...(this.message.attachments ?? []).map((one) => attachmentView(one, this.message.role === "assistant")));
    this.body.append(this.tools, this.words, this.more);
    this.update();
  }

  /** After a change of the branch: which versions there are, or what was read from storage again. */
  refresh(message: Message): void {
    const same = message === this.message || (message.text === this.message.text && message.end === this.message.end);
    this.message = message;
    if (this.body && !(same && this.versionsDrawn === state.tree.versions(message).length)) this.update();
  }

  /** After a change of the message. */
  update(): void {
    if (!this.body) return;
    const { message } = this;
    const writing = message.end === "writing";
    const wasLive = this.live !== null;
    this.element.toggleAttribute("data-writing", writing);
    this.element.setAttribute("aria-busy", String(writing));
    this.drawThoughts(writing);
    this.drawTools();
    if (message.role === "user") this.words.replaceChildren(el("div", { class: "block as-typed", dir: "auto" }, message.text));
    else if (writing) {
      this.live ??= new LiveText(this.words, this.grew);
      this.live.set(message.text);
    } else if (this.live) {
      this.live.finish(message.text);
      this.live = null;
    } else if (!this.words.childElementCount && message.text) this.words.replaceChildren(...rendered(message.text));
    if (!writing) this.drawAttachments();
    this.more.replaceChildren(...this.ends(), ...(writing ? [] : [this.buttons()]));
    if (writing || wasLive) this.grew();
  }

  private drawAttachments(): void {
    if (this.message.role !== "assistant" || this.body!.querySelector(".picture, audio")) return;
    this.tools.before(...(this.message.attachments ?? []).map((one) => attachmentView(one, true)));
  }

  private drawThoughts(writing: boolean): void {
    const { reasoning, thoughtFor, text: words } = this.message;
    if (!reasoning) return;
    if (!this.thoughts) {
      const inside = el("div", { class: "prose" });
      this.thoughts = el("details", { class: "thoughts" }, el("summary", {}), inside);
      this.liveThoughts = new LiveText(inside, this.grew);
      this.body!.prepend(this.thoughts);
    }
    const busy = writing && !words;
    this.thoughts.classList.toggle("busy", busy);
    const said = busy ? text.thinking : (thoughtFor ?? 0) >= 0.1 ? text.thought(thoughtFor!.toFixed(1)) : text.thoughts;
    const summary = this.thoughts.querySelector("summary")!;
    if (summary.textContent !== said) summary.textContent = said;
    if (writing) this.liveThoughts!.set(reasoning);
    else this.liveThoughts!.finish(reasoning);
  }

  private drawTools(): void {
    const calls = this.message.calls ?? [];
    const drawn = JSON.stringify(calls);
    if (drawn === this.toolsDrawn) return;
    this.toolsDrawn = drawn;
    const open = [...this.tools.querySelectorAll("details")].map((card) => card.open);
    this.tools.replaceChildren(...calls.map((call, index) => toolCard(call, open[index] ?? false)));
  }

  private *ends(): Iterable<HTMLElement> {
    const { end, error, text: words, reasoning } = this.message;
    if (end === "writing" && !words && !reasoning && !error) {
      yield el("div", { class: "waiting", role: "img", "aria-label": text.writing }, el("i"), el("i"), el("i"));
    }
    const sources = new Map((this.message.calls ?? []).flatMap((call) => call.citations ?? []).map((one) => [one.url, one]));
    if (sources.size && end !== "writing") {
      const links = [...sources.values()].map(({ url, title }) => el("li", {}, el("a", { href: url, target: "_blank", rel: "noopener noreferrer nofollow", dir: "auto" }, title || url)));
      yield el("details", { class: "sources" }, el("summary", {}, `${text.sources} (${sources.size})`), el("ol", {}, ...links));
    }
    if (error) yield el("p", { class: `end ${end === "failed" ? "error" : ""}` }, error);
    else if (end === "stopped") yield el("p", { class: "end" }, text.stopped);
    else if (end === "length") yield el("p", { class: "end" }, text.cut);
    else if (end === "interrupted") yield el("p", { class: "end error" }, text.interrupted);
  }

  private buttons(): HTMLElement {
    const { message } = this;
    const row = el("div", { class: "actions" });
    const versions = state.tree.versions(message);
    this.versionsDrawn = versions.length;
    if (versions.length > 1) {
      const at = versions.findIndex((one) => one.id === message.id);
      const step = (by: number, name: "left" | "right", label: string) => {
        const other = versions[at + by];
        return iconButton(name, label, () => void choose(other!), { disabled: !other });
      };
      row.append(el("div", { class: "versions", role: "group" },
        step(-1, "left", text.previousVersion), el("span", {}, text.version(at + 1, versions.length)), step(1, "right", text.nextVersion)));
    }
    if (message.text) {
      const copy = iconButton("copy", text.copy, () => void copyText(message.text, copy));
      row.append(copy);
    }
    if (message.role === "user") row.append(iconButton("edit", text.edit, () => edit(this)));
    else {
      row.append(iconButton("again", text.again, () => void again(message)));
      if (message.text && modelFor(state.models, "speech")) row.append(iconButton("sound", text.listen, (event) => void read(message.text, event.currentTarget)));
      const { usage } = message;
      if (usage && usage.seconds > 0.05 && usage.answer > 1) {
        row.append(el("span", { class: "speed" }, text.speed(((usage.answer - 1) / usage.seconds).toFixed(1))));
      }
    }
    return row;
  }
}
