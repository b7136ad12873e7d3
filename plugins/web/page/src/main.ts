// The page: its parts, the models, and the connection to the server.
import "../style/page.css";
import "../style/sidebar.css";
import "../style/thread.css";
import "../style/prose.css";
import "../style/composer.css";
import "../style/dialogs.css";
import "temml/dist/Temml-Local.css";
import { Away, ServerError, whenRefused } from "./api/client";
import * as connection from "./api/connection";
import { listModels, listTools } from "./api/models";
import { begin } from "./chats";
import { el } from "./dom";
import { emit, on, state } from "./state";
import { applyTheme, preferences } from "./store/preferences";
import { text } from "./text";
import { composer, focusComposer } from "./view/composer";
import { header } from "./view/header";
import { askKey } from "./view/key";
import { notice, notices } from "./view/notices";
import { openSettings } from "./view/settings";
import { listen } from "./view/shortcuts";
import { focusSearch, sidebar } from "./view/sidebar";
import { thread } from "./view/thread";

const banner = el("div", { class: "banner", role: "status", hidden: true });
const SMALL = matchMedia("(max-width: 50rem)");
const shell = el("div", { class: "shell" });

function show(open: boolean): void {
  shell.classList.toggle("with-sidebar", open);
  if (!SMALL.matches) preferences.sidebar = open;
}

async function loadModels(): Promise<void> {
  try {
    state.models = await listModels();
    state.tools = await listTools();
    emit("models");
  } catch (error) {
    if (error instanceof Away) connection.lost();
    else if (!(error instanceof ServerError && error.status === 401)) notice(text.failed((error as Error).message), "error");
  }
}

function connected(away: boolean): void {
  banner.textContent = away ? text.away : "";
  banner.hidden = !away;
  if (away) return;
  notice(text.back);
  void loadModels();
}

applyTheme();
show(!SMALL.matches && preferences.sidebar);
const closeSmall = () => SMALL.matches && show(false);
shell.append(
  sidebar(() => show(false)),
  el("div", { class: "veil", onclick: () => show(false) }),
  el("div", { class: "chat" }, header(() => show(!shell.classList.contains("with-sidebar"))), banner, ...thread(), composer()));
document.body.append(shell, ...notices());
on("chat", () => {
  closeSmall();
  document.title = state.chat ? `${state.chat.title} – ${text.product}` : text.product;
});
listen({ search: () => { show(true); focusSearch(); }, settings: openSettings, compose: focusComposer });
whenRefused(() => void askKey());
document.addEventListener("tramontane-key", () => void loadModels());
connection.whenConnected(connected);
addEventListener("unhandledrejection", (event) => notice(String(event.reason?.message ?? text.unknownError), "error"));
void loadModels();
void begin();
