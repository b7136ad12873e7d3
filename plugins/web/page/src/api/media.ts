// Pictures, speech and transcripts.
import { ask } from "./client";

/** The picture of a description, as PNG. */
export async function draw(model: string, prompt: string, size: string, seed: number | null, signal: AbortSignal): Promise<Blob> {
  const body: any = { model, prompt, size, response_format: "b64_json" };
  if (seed !== null) body.seed = seed;
  const { data } = await (await ask("v1/images/generations", { body, signal })).json();
  const bytes = Uint8Array.from(atob(data[0].b64_json), (letter) => letter.charCodeAt(0));
  return new Blob([bytes], { type: "image/png" });
}

/** A text as a sound, a WAV file. */
export async function speak(model: string, input: string, voice: string, seed: number | null, signal: AbortSignal): Promise<Blob> {
  const body: any = { model, input, response_format: "wav" };
  if (voice) body.voice = voice;
  if (seed !== null) body.seed = seed;
  const sound = await (await ask("v1/audio/speech", { body, signal })).blob();
  return new Blob([sound], { type: "audio/wav" });
}

/** What is said in a sound. */
export async function transcribe(model: string, sound: Blob): Promise<string> {
  const form = new FormData();
  form.append("file", sound, "sound.wav");
  form.append("model", model);
  const told = await (await ask("v1/audio/transcriptions", { form })).json();
  return String(told.text ?? "").trim();
}
