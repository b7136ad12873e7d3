// Requests to the server that the page came from, with its API key where it has one.

const KEY = "tramontane.key";

export class ServerError extends Error {
  constructor(readonly status: number, message: string, readonly code: string | null = null) {
    super(message);
  }
}

/** The server did not answer at all. */
export class Away extends Error {}

export function key(): string {
  return localStorage.getItem(KEY) ?? "";
}

export function setKey(value: string): void {
  if (value) localStorage.setItem(KEY, value);
  else localStorage.removeItem(KEY);
}

let onRefused: () => void = () => {};

/** Called whenever the server asks for a key, or for another one. */
export function whenRefused(listener: () => void): void {
  onRefused = listener;
}

export interface Asking {
  body?: unknown;
  form?: FormData;
  signal?: AbortSignal;
}

/** The response to a request, of status 2xx. Raises Away, ServerError, or AbortError. */
export async function ask(path: string, { body, form, signal }: Asking = {}): Promise<Response> {
  const headers: Record<string, string> = {};
  if (key()) headers.authorization = `Bearer ${key()}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  let response: Response;
  try {
    response = await fetch(path, {
      method: body === undefined && !form ? "GET" : "POST",
      headers,
      body: form ?? (body === undefined ? undefined : JSON.stringify(body)),
      signal,
      cache: "no-store",
      credentials: "same-origin",
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Away();
  }
  if (response.ok) return response;
  const error = await told(response);
  if (error.status === 401) onRefused();
  throw error;
}

async function told(response: Response): Promise<ServerError> {
  let message = response.statusText || String(response.status);
  let code: string | null = null;
  try {
    const { error } = await response.json();
    message = String(error.message ?? message);
    code = error.code ?? null;
  } catch {
    // a proxy's page
  }
  return new ServerError(response.status, message, code);
}
