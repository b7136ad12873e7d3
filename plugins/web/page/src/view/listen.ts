// An answer read aloud by the server's speech model.
import { speak } from "../api/media";
import { modelFor } from "../api/models";
import { settings, state } from "../state";
import { text } from "../text";
import { notice } from "./notices";

let playing: HTMLAudioElement | null = null;

export async function read(words: string, button: HTMLButtonElement): Promise<void> {
  if (playing) {
    playing.pause();
    playing = null;
    return;
  }
  button.disabled = true;
  try {
    const sound = await speak(modelFor(state.models, "speech")!.id, words, settings().voice, null, new AbortController().signal);
    const url = URL.createObjectURL(sound);
    playing = new Audio(url);
    playing.addEventListener("ended", () => {
      URL.revokeObjectURL(url);
      playing = null;
    });
    await playing.play();
  } catch (error) {
    notice(text.failed((error as Error).message), "error");
  }
  button.disabled = false;
}
