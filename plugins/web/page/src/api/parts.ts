// Attachments as parts of a message.
import type { Attachment } from "../types";

export async function part(attachment: Attachment): Promise<any> {
  const data = await base64(attachment.blob!);
  if (attachment.kind === "image") {
    return { type: "image_url", image_url: { url: `data:${attachment.type};base64,${data}` } };
  }
  return { type: "input_audio", input_audio: { data, format: attachment.type === "audio/mpeg" ? "mp3" : "wav" } };
}

export async function base64(blob: Blob): Promise<string> {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  let found = "";
  for (let at = 0; at < bytes.length; at += 0x8000) {
    found += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  }
  return btoa(found);
}
