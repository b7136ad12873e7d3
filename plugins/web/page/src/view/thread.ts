// The messages of the open chat. Thousands are shells that become whole as they come near.
import { taskOf } from "../api/models";
import { el, iconButton } from "../dom";
import { model, on, path } from "../state";
import { text } from "../text";
import { MessageView } from "./message";

const AT_ONCE = 3;
const FRAME = 8;
const NEAR_END = 60;
const SHELLS = 200;

const list = el("div", { class: "thread-inner" });
const welcome = el("div", { class: "welcome" });
const toEnd = iconButton("down", text.toLatest, () => scrollToEnd("smooth"), { class: "icon-button to-end", hidden: true });
export const scroller = el("main", { class: "thread", tabindex: "-1", "aria-label": text.assistant, onscroll: scrolled }, welcome, list);

let views = new Map<string, MessageView>();
let sticks = true;
/** How many of the last messages have a shell; those before get theirs a frame later. */
let shown = SHELLS;
const wanted = new Set<MessageView>();
let frame = 0;
const near = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    const view = views.get((entry.target as HTMLElement).dataset.id!);
    if (!view || !entry.isIntersecting) continue;
    near.unobserve(entry.target);
    wanted.add(view);
  }
  frame ||= requestAnimationFrame(completeSome);
}, { root: scroller, rootMargin: "1000px 0px" });

export function thread(): HTMLElement[] {
  on("chat", () => {
    near.disconnect();
    views = new Map();
    wanted.clear();
    sticks = true;
    shown = SHELLS;
    list.replaceChildren();
    draw();
    scrollToEnd();
    requestAnimationFrame(showMore);
  });
  on("path", () => {
    draw();
    if (sticks) scrollToEnd();
  });
  on("message", (message) => {
    const view = views.get(message.id);
    if (view) {
      view.message = message;
      view.update();
    }
  });
  on("models", greet);
  return [scroller, toEnd];
}

/** Follow what is written from now on. */
export function stick(): void {
  sticks = true;
}

function showMore(): void {
  if (shown >= path().length) {
    shown = Infinity; // and so are all that come
    return;
  }
  shown += SHELLS;
  draw();
  if (sticks) scroller.scrollTop = scroller.scrollHeight;
  requestAnimationFrame(showMore);
}

function draw(): void {
  const messages = path().slice(-shown);
  const kept = new Map<string, MessageView>();
  messages.forEach((message, index) => {
    let view = views.get(message.id);
    if (!view) {
      view = new MessageView(message, grew);
      if (index >= messages.length - AT_ONCE) view.complete();
      else near.observe(view.element);
    } else view.refresh(message);
    kept.set(message.id, view);
  });
  for (const [id, view] of views) if (!kept.has(id)) view.element.remove();
  let place: ChildNode | null = list.firstChild;
  const fresh = document.createDocumentFragment();
  for (const view of kept.values()) {
    if (place === view.element) place = place.nextSibling;
    else if (place) list.insertBefore(view.element, place);
    else fresh.append(view.element);
  }
  list.append(fresh);
  views = kept;
  greet();
}

function completeSome(): void {
  frame = 0;
  const until = performance.now() + FRAME;
  for (const view of wanted) {
    wanted.delete(view);
    view.complete();
    if (performance.now() > until) break;
  }
  if (wanted.size) frame = requestAnimationFrame(completeSome);
}

function greet(): void {
  welcome.hidden = views.size > 0;
  if (welcome.hidden) return;
  const task = taskOf(model());
  const question = task === "image" ? text.welcomeImage : task === "speech" ? text.welcomeSpeech : text.welcome;
  welcome.replaceChildren(
    el("img", { src: "icon.svg", alt: "", width: 56, height: 56 }), el("h1", {}, question), el("p", {}, text.welcomeNote));
}

function grew(): void {
  if (sticks) scroller.scrollTop = scroller.scrollHeight;
}

function scrolled(): void {
  const left = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight;
  sticks = left < NEAR_END;
  toEnd.hidden = left < scroller.clientHeight / 2;
}

function scrollToEnd(behavior: ScrollBehavior = "instant"): void {
  sticks = true;
  scroller.scrollTo({ top: scroller.scrollHeight, behavior });
  // heights of what was never drawn are guesses until then
  requestAnimationFrame(() => { if (sticks) scroller.scrollTo({ top: scroller.scrollHeight, behavior }); });
}
