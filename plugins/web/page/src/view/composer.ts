// Where messages are written, with what is attached to them.
import { lastAsked, send, stop } from "../answer";
import { transcribe } from "../api/media";
import { modelFor, takes, taskOf } from "../api/models";
import { el, icon, iconButton } from "../dom";
import { attachmentOf, MOST_FILES } from "../media/files";
import { Recording } from "../media/sound";
import { model, on, running, state } from "../state";
import { text } from "../text";
import type { Attachment } from "../types";
import { urlOf } from "./attachment";
import { notice } from "./notices";
import { statusLine } from "./status";
import { scroller, stick } from "./thread";

let attached: Attachment[] = [];
let recording: Recording | null = null;
const chips = el("ul", { class: "chips" });
const input = el("textarea", { rows: 1, dir: "auto", "aria-label": text.ask, oninput: fit, onkeydown: pressed, onpaste: pasted, autofocus: true });
const picker = el("input", { type: "file", multiple: true, class: "only-spoken", tabindex: "-1", "aria-hidden": "true", onchange: () => void add(picker.files).then(() => (picker.value = "")) });
const clip = iconButton("clip", text.attach, () => picker.click());
const mic = iconButton("mic", text.record, () => void record());
const action = el("button", { type: "submit", class: "send" });
const shade = el("div", { class: "drop-shade", hidden: true }, text.dropHere);

export function composer(): HTMLElement {
  on("runs", draw);
  on("chat", () => { draw(); focusComposer(); });
  on("models", draw);
  acceptDrops();
  draw();
  const form = el("form", { class: "composer", onsubmit: submitted },
    chips,
    el("div", { class: "composer-row" }, clip, mic, input, action), picker);
  return el("section", { class: "bottom", "aria-label": text.write }, form, statusLine(), shade);
}

/** On a screen with a keyboard: elsewhere one would come up. */
export function focusComposer(): void {
  if (matchMedia("(hover: hover)").matches) input.focus();
}

function draw(): void {
  const task = taskOf(model());
  input.placeholder = task === "image" ? text.askImage : task === "speech" ? text.askSpeech : text.askPlaceholder;
  clip.hidden = mic.hidden = task !== "text";
  mic.hidden ||= takes(model(), "audio") === false && !modelFor(state.models, "transcribe");
  const busy = running();
  action.replaceChildren(icon(busy ? "stop" : "send"));
  action.setAttribute("aria-label", busy ? text.stop : text.send);
  action.title = busy ? text.stop : text.send;
  action.classList.toggle("busy", busy);
  action.disabled = !busy && !input.value.trim() && !attached.length;
  const shown = attached.map((one, index) => el("li", {},
    one.kind === "image" ? el("img", { src: urlOf(one.blob!), alt: "" }) : icon(one.kind === "audio" ? "sound" : "file"),
    el("span", { dir: "auto" }, one.name),
    iconButton("close", text.removeAttachment(one.name), () => { attached.splice(index, 1); draw(); input.focus(); })));
  chips.replaceChildren(...shown);
  chips.hidden = !shown.length;
}

function fit(): void {
  input.style.height = "auto";
  input.style.height = `${Math.min(input.scrollHeight, innerHeight * 0.4)}px`;
  draw();
}

function submitted(event: Event): void {
  event.preventDefault();
  if (running()) return stop();
  const words = input.value.trim();
  if (!words && !attached.length) return;
  const refused = refusal();
  if (refused) return notice(refused, "error");
  const sent = attached;
  attached = [];
  input.value = "";
  fit();
  stick();
  void send(words, sent);
}

/** Why what is attached cannot go to the model that is chosen now. */
function refusal(): string | null {
  const chosen = model();
  if (taskOf(chosen) !== "text" && attached.length) return text.noAttachments;
  for (const { kind } of attached) {
    if (kind === "image" && takes(chosen, "image") === false) return text.noImages(chosen!.id);
    if (kind === "audio" && takes(chosen, "audio") === false) return text.noSounds(chosen!.id);
  }
  return null;
}

function pressed(event: KeyboardEvent): void {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing && matchMedia("(hover: hover)").matches) {
    event.preventDefault();
    if (!running()) action.form!.requestSubmit();
  } else if (event.key === "ArrowUp" && !input.value) {
    const last = lastAsked();
    const button = last && scroller.querySelector<HTMLElement>(`[data-id="${last.id}"] .actions button[aria-label="${text.edit}"]`);
    if (button) {
      event.preventDefault();
      button.click();
    }
  }
}

function pasted(event: ClipboardEvent): void {
  if (!event.clipboardData?.files.length) return;
  event.preventDefault();
  void add(event.clipboardData.files);
}

async function add(files: FileList | null): Promise<void> {
  for (const file of [...(files ?? [])]) {
    if (attached.length >= MOST_FILES) {
      notice(text.tooMany(MOST_FILES), "error");
      break;
    }
    try {
      attached.push(await attachmentOf(file, model()));
    } catch (error) {
      notice((error as Error).message, "error");
    }
  }
  draw();
}

async function record(): Promise<void> {
  try {
    if (!recording) {
      recording = await Recording.begin();
      mic.classList.add("recording");
      mic.setAttribute("aria-label", text.stopRecording);
      return;
    }
    const done = recording;
    recording = null;
    mic.classList.remove("recording");
    mic.setAttribute("aria-label", text.record);
    const sound = await done.stop();
    if (takes(model(), "audio") !== false) attached.push({ kind: "audio", name: `${text.recordingName}.wav`, type: "audio/wav", blob: sound });
    else input.value = [input.value, await transcribe(modelFor(state.models, "transcribe")!.id, sound)].filter(Boolean).join(" ");
  } catch (error) {
    notice((error as Error).message, "error");
  }
  fit();
  input.focus();
}

function acceptDrops(): void {
  const has = (event: DragEvent) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragover", (event) => { if (has(event)) { event.preventDefault(); shade.hidden = false; } });
  addEventListener("dragleave", (event) => { if (!event.relatedTarget) shade.hidden = true; });
  addEventListener("drop", (event) => {
    shade.hidden = true;
    if (!has(event)) return;
    event.preventDefault();
    void add(event.dataTransfer!.files);
  });
}
