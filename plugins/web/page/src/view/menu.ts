// A menu that a button opens: arrow keys, Escape, and a click elsewhere.
import { el } from "../dom";

export interface Choice {
  label: string;
  run: () => void;
  danger?: boolean;
}

export function openMenu(button: HTMLElement, label: string, choices: Choice[]): void {
  const items = choices.map(({ label: name, run, danger }) =>
    el("button", { type: "button", role: "menuitem", class: danger ? "danger" : "", tabindex: "-1", onclick: () => { menu.hidePopover(); run(); } }, name));
  const menu = el("div", { class: "menu", role: "menu", popover: "auto", "aria-label": label }, ...items);
  menu.addEventListener("keydown", (event) => {
    const at = items.indexOf(document.activeElement as HTMLButtonElement);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      items[(at + step + items.length) % items.length]!.focus();
    } else if (event.key === "Tab") menu.hidePopover();
  });
  menu.addEventListener("toggle", (event) => {
    if ((event as ToggleEvent).newState === "closed") {
      menu.remove();
      button.setAttribute("aria-expanded", "false");
      if (document.activeElement === document.body) button.focus();
    }
  });
  document.body.append(menu);
  button.setAttribute("aria-expanded", "true");
  menu.showPopover();
  const place = button.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = menu;
  menu.style.left = `${Math.max(8, Math.min(innerWidth - width - 8, place.right - width))}px`;
  menu.style.top = `${place.bottom + height + 8 > innerHeight ? Math.max(8, place.top - height - 4) : place.bottom + 4}px`;
  items[0]?.focus();
}
