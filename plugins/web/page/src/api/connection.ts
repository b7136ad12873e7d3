// Whether the server answers. Nothing is asked while it does.

type Listener = (away: boolean) => void;
const FIRST = 500;
const LONGEST = 8000;

let away = false;
let wait = FIRST;
let timer = 0;
const listeners = new Set<Listener>();

export function isAway(): boolean {
  return away;
}

export function whenConnected(listener: Listener): void {
  listeners.add(listener);
}

/** To be called when a request found nobody: from now on the server is tried until it answers. */
export function lost(): void {
  if (away) return;
  away = true;
  wait = FIRST;
  for (const listener of listeners) listener(true);
  plan();
}

/** Ends when the server answers again, or when the signal says so. */
export function answered(signal: AbortSignal): Promise<void> {
  if (!away) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const listen: Listener = (gone) => {
      if (gone) return;
      listeners.delete(listen);
      resolve();
    };
    listeners.add(listen);
    signal.addEventListener("abort", () => {
      listeners.delete(listen);
      reject(signal.reason);
    });
  });
}

function plan(): void {
  clearTimeout(timer);
  timer = window.setTimeout(attempt, wait);
  wait = Math.min(LONGEST, wait * 1.7);
}

async function attempt(): Promise<void> {
  try {
    // a path without a key; a server that stops, or still loads, answers it too
    const response = await fetch("health", { cache: "no-store" });
    if (!response.ok) throw new Error();
  } catch {
    plan();
    return;
  }
  away = false;
  for (const listener of [...listeners]) listener(false);
}

function hurry(): void {
  if (!away) return;
  wait = FIRST;
  clearTimeout(timer);
  void attempt();
}

window.addEventListener("online", hurry);
window.addEventListener("focus", hurry);
