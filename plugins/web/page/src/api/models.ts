// The server's models and what each can do.
import type { Model, Tool } from "../types";
import { ask } from "./client";

export type Task = "text" | "image" | "speech" | "transcribe" | "other";

export async function listModels(): Promise<Model[]> {
  const { data } = await (await ask("v1/models")).json();
  return (data as any[]).map((one) => ({
    id: String(one.id),
    parent: one.parent ?? null,
    status: String(one.status ?? "loaded"),
    context: one.max_model_len ?? null,
    tasks: Array.isArray(one.tasks) ? one.tasks : null,
    inputs: Array.isArray(one.input_modalities) ? one.input_modalities : null,
  }));
}

/** The tools that the server runs; none where it knows of no such thing. */
export async function listTools(): Promise<Tool[]> {
  try {
    const { tools } = await (await ask("v1/agent/tools")).json();
    return (tools as any[]).map((one) => ({ name: String(one.name), description: String(one.description), approval: String(one.approval) }));
  } catch {
    return [];
  }
}

/** What the page uses a model for. One that is not loaded yet is taken for a chat model. */
export function taskOf(model: Model | undefined): Task {
  const tasks = model?.tasks ?? ["text"];
  for (const task of ["text", "image", "speech", "transcribe"] as const) {
    if (tasks.includes(task)) return task;
  }
  return "other";
}

/** Whether a model takes images or sounds; null where the server does not say. */
export function takes(model: Model | undefined, kind: "image" | "audio"): boolean | null {
  if (!model || model.inputs === null) return null;
  return model.inputs.includes(kind);
}

/** The first model that is for a task. */
export function modelFor(models: Model[], task: Task): Model | undefined {
  return models.find((model) => model.tasks !== null && taskOf(model) === task);
}
