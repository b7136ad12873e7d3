// A chat's messages are a tree: editing a message, or answering again, begins a branch.
import type { Message } from "../types";

export class Tree {
  private byId = new Map<string, Message>();
  private children = new Map<string | null, Message[]>();

  constructor(messages: Message[]) {
    for (const message of messages) this.add(message);
  }

  /** Add or replace one. */
  add(message: Message): void {
    const known = this.byId.has(message.id);
    this.byId.set(message.id, message);
    const siblings = this.children.get(message.parent) ?? [];
    if (known) siblings[siblings.findIndex((one) => one.id === message.id)] = message;
    else siblings.push(message);
    this.children.set(message.parent, siblings);
  }

  get(id: string | null): Message | undefined {
    return id === null ? undefined : this.byId.get(id);
  }

  all(): Message[] {
    return [...this.byId.values()];
  }

  /** From the first message to this one. */
  path(leaf: string | null): Message[] {
    const found: Message[] = [];
    const seen = new Set<string>();
    for (let one = this.get(leaf); one && !seen.has(one.id); one = this.get(one.parent)) {
      seen.add(one.id);
      found.push(one);
    }
    return found.reverse();
  }

  /** The versions of a message, itself among them. */
  versions(message: Message): Message[] {
    return this.children.get(message.parent) ?? [message];
  }

  /** The end of the latest branch below a message. */
  latest(message: Message): Message {
    let found = message;
    for (let below = this.children.get(found.id); below?.length; below = this.children.get(found.id)) {
      found = below[below.length - 1]!;
    }
    return found;
  }
}
