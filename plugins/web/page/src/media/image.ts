// Pictures as the server takes them: not larger than models look at, PNG or JPEG.
import { text } from "../text";

const MOST_EDGE = 2048;
const MOST_BYTES = 3 << 20;
const AS_THEY_ARE = ["image/png", "image/jpeg", "image/webp", "image/gif"];

/** Raises Error, with a message for people, for what is no picture. */
export async function preparedImage(file: File): Promise<Blob> {
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new Error(text.noPicture(file.name));
  }
  const scale = Math.min(1, MOST_EDGE / Math.max(bitmap.width, bitmap.height));
  if (scale === 1 && file.size <= MOST_BYTES && AS_THEY_ARE.includes(file.type)) {
    bitmap.close();
    return file;
  }
  const canvas = new OffscreenCanvas(Math.max(1, Math.round(bitmap.width * scale)), Math.max(1, Math.round(bitmap.height * scale)));
  canvas.getContext("2d")!.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  const found = await canvas.convertToBlob({ type: "image/png" });
  return found.size <= MOST_BYTES ? found : canvas.convertToBlob({ type: "image/jpeg", quality: 0.88 });
}
