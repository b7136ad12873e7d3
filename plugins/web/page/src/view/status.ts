// Below the composer: speed and context of the last answer.
import { el } from "../dom";
import { model, on, path } from "../state";
import { text } from "../text";

const speed = el("span", {});
const words = el("span", {});
const meter = el("meter", { min: 0, max: 1, low: 0.75, high: 0.9, optimum: 0, "aria-label": text.context(0, 0) });

export function statusLine(): HTMLElement {
  on("runs", draw);
  on("chat", draw);
  on("path", draw);
  on("models", draw);
  return el("div", { class: "status-line" }, speed, meter, words);
}

function draw(): void {
  const usage = path().findLast((message) => message.usage)?.usage;
  const most = model()?.context ?? null;
  meter.hidden = !usage || !most;
  speed.textContent = usage && usage.seconds > 0.05 && usage.answer > 1 ? text.speed(((usage.answer - 1) / usage.seconds).toFixed(1)) : "";
  if (!usage) return words.replaceChildren();
  const used = usage.prompt + usage.answer;
  words.textContent = most ? text.context(used, most) : text.used(used);
  if (most) {
    meter.value = used / most;
    meter.setAttribute("aria-label", words.textContent);
  }
}
