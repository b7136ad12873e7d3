// A text that grows: blocks that cannot change any longer stay, the last ones are drawn again.
import { blockElement, blocksOf, plain, rendered, tooLarge } from "./markdown";

const SETTLED_BEFORE_END = 1;

export class LiveText {
  private text = "";
  private settled = 0;
  private drawn: HTMLElement[] = [];
  private frame = 0;
  private busyUntil = 0;
  private plainBody: Text | null = null;

  /** host: where the blocks go. after: called whenever something was drawn. */
  constructor(private host: HTMLElement, private after: () => void = () => {}) {}

  set(text: string): void {
    this.text = text;
    if (!this.frame) this.frame = requestAnimationFrame(() => this.draw());
  }

  /** Draw all of it as it is in the end. */
  finish(text: string): void {
    cancelAnimationFrame(this.frame);
    this.host.replaceChildren(...rendered(text));
    this.after();
  }

  private draw(): void {
    this.frame = 0;
    const started = performance.now();
    if (started < this.busyUntil) {
      // texts that take long to draw are drawn less often
      this.frame = requestAnimationFrame(() => this.draw());
      return;
    }
    if (this.plainBody || tooLarge(this.text)) this.drawPlain();
    else {
      try {
        this.drawBlocks();
      } catch {
        this.drawPlain(); // nested too deeply for the parser
      }
    }
    const took = performance.now() - started;
    this.busyUntil = took > 8 ? performance.now() + 3 * took : 0;
    this.after();
  }

  private drawBlocks(): void {
    const tokens = blocksOf(this.text.slice(this.settled));
    for (const old of this.drawn) old.remove();
    this.drawn = [];
    const firm = Math.max(0, tokens.length - SETTLED_BEFORE_END);
    tokens.forEach((token, index) => {
      const settles = index < firm;
      if (settles) this.settled += token.raw.length;
      if (token.type === "space" || token.type === "def") return;
      const element = blockElement(token, tokens.links, !settles);
      this.host.append(element);
      if (!settles) this.drawn.push(element);
    });
  }

  private drawPlain(): void {
    if (!this.plainBody) {
      const element = plain("");
      this.plainBody = document.createTextNode("");
      element.querySelector("pre")!.append(this.plainBody);
      this.host.replaceChildren(element);
    }
    this.plainBody.appendData(this.text.slice(this.plainBody.length));
  }
}
