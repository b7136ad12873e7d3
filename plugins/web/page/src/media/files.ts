// Files of a user as attachments.
import { takes } from "../api/models";
import { text } from "../text";
import type { Attachment, Model } from "../types";
import { preparedImage } from "./image";
import { preparedSound } from "./sound";

const MOST_TEXT = 512 << 10;
const MOST_MEDIA = 32 << 20;
export const MOST_FILES = 16;

/** Raises Error, with a message for people, for a file that the model, or this page, cannot take. */
export async function attachmentOf(file: File, model: Model | undefined): Promise<Attachment> {
  const kind = file.type.split("/")[0];
  const name = file.name || kind || "file";
  if ((kind === "image" && file.type !== "image/svg+xml") || kind === "audio") {
    if (file.size > MOST_MEDIA) throw new Error(text.tooLarge(name, `${MOST_MEDIA >> 20} MB`));
    if (kind === "image") {
      if (takes(model, "image") === false) throw new Error(text.noImages(model!.id));
      const blob = await preparedImage(file);
      return { kind, name, type: blob.type, blob };
    }
    if (takes(model, "audio") === false) throw new Error(text.noSounds(model!.id));
    const blob = await preparedSound(file, name);
    return { kind: "audio", name, type: blob.type, blob };
  }
  if (file.size > MOST_TEXT) throw new Error(text.tooLarge(name, `${MOST_TEXT >> 10} KB`));
  try {
    const content = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
    if (content.includes("\0")) throw new Error();
    return { kind: "text", name, type: "text/plain", text: content.replace(/\r\n?/g, "\n") };
  } catch {
    throw new Error(text.noFile(name));
  }
}
