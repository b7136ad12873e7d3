// The API key, asked for once.
import { key, setKey } from "../api/client";
import { text } from "../text";
import { typed } from "./dialogs";

let asking: Promise<boolean> | null = null;

/** Ask for a key, and keep it; false where none was given. */
export function askKey(why = key() ? text.keyWrong : text.keyNeeded): Promise<boolean> {
  asking ??= typed(text.key, why, "", text.keyUse, true).then((given) => {
    asking = null;
    if (!given?.trim()) return false;
    setKey(given.trim());
    document.dispatchEvent(new Event("tramontane-key"));
    return true;
  });
  return asking;
}
