// Small choices, in localStorage.
import { PLAIN, type Settings } from "../types";

export type Theme = "system" | "light" | "dark";

function read<T>(name: string, otherwise: T): T {
  try {
    return { value: otherwise, ...JSON.parse(localStorage.getItem(`tramontane.${name}`) ?? "{}") }.value;
  } catch {
    return otherwise;
  }
}

function write(name: string, value: unknown): void {
  localStorage.setItem(`tramontane.${name}`, JSON.stringify({ value }));
}

export const preferences = {
  get theme(): Theme {
    return read<Theme>("theme", "system");
  },
  set theme(value: Theme) {
    write("theme", value);
  },
  get model(): string {
    return read("model", "");
  },
  set model(value: string) {
    write("model", value);
  },
  get settings(): Settings {
    return { ...PLAIN, ...read<Partial<Settings>>("settings", {}) };
  },
  set settings(value: Settings) {
    write("settings", value);
  },
  get sidebar(): boolean {
    return read("sidebar", true);
  },
  set sidebar(value: boolean) {
    write("sidebar", value);
  },
};

export function applyTheme(): void {
  const theme = preferences.theme;
  if (theme === "system") document.documentElement.removeAttribute("data-theme");
  else document.documentElement.dataset.theme = theme;
}
