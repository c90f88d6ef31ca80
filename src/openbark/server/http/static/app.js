// The page: what is asked, when, and what is told of it.

import * as api from "./api.js";
import { Dialogue } from "./dialogue.js";
import { Collector, LivePlayer } from "./sound.js";
import { forget, remember, remembered } from "./store.js";
import { Takes } from "./takes.js";
import { VoicePicker } from "./voices.js";

const $ = (id) => document.getElementById(id);
const NUMBERS = [
  "max_seconds", "sentence_pause", "paragraph_pause", "retries", "best_of", "semantic_temperature",
  "coarse_temperature", "fine_temperature", "top_k", "top_p", "min_eos_p",
];
const CHOICES = ["latency", "split", "policy", "script"];
const SETTINGS = [...NUMBERS, ...CHOICES, "speed", "takes", "seed", "new-seed"];
const TABS = ["text", "dialogue", "list"];

const tell = (text) => ($("status").textContent = text);
function fail(error) {
  if (error.name === "AbortError") return tell("Cancelled.");
  $("error").textContent = error.status === 401 ? "This server asks for an API key." : error.message;
  tell("");
  if (error.status === 401 && !$("key-dialog").open) $("key-dialog").showModal();
}

const takes = new Takes((take) => run([take.body], compareWith(take)), tell, fail);
const picker = new VoicePicker((body) => run([body], shown), () => dialogue.refresh(), fail);
const dialogue = new Dialogue(() => picker.named());
let running = null;

function settings() {
  const body = { speed: Number($("speed").value) };
  for (const name of NUMBERS) if ($(name).value !== "") body[name] = Number($(name).value);
  for (const name of CHOICES) body[name] = $(name).value;
  return body;
}

const activeTab = () => TABS.find((name) => $(`tab-${name}`).getAttribute("aria-selected") === "true");

function requests() {
  const common = { ...settings(), ...(picker.chosen ? { voice: picker.chosen } : {}) };
  if (activeTab() === "dialogue") return [{ ...common, ...dialogue.request() }];
  if (activeTab() === "list") {
    const lines = $("list").value.split("\n").map((line) => line.trim());
    return lines.filter(Boolean).map((input) => ({ ...common, input }));
  }
  return [{ ...common, input: $("text").value }];
}

const freshSeed = () => crypto.getRandomValues(new Uint32Array(1))[0];

function seeded(bodies) {
  const count = Math.max(1, Number($("takes").value) || 1);
  if ($("new-seed").checked || $("seed").value === "") $("seed").value = freshSeed();
  const first = Number($("seed").value);
  return bodies.flatMap((body) =>
    Array.from({ length: count }, (_, take) => ({ ...body, seed: (first + take) % 2 ** 32 })),
  );
}

// What becomes of a clip that was made: kept in the history, shown only, or held against an earlier one.
const kept = async (take) => {
  await takes.keep(take);
  // Somebody who listens to another clip meanwhile is left in peace.
  if (!takes.listening) takes.show(take);
};
const shown = (take) => takes.show(take);
const compareWith = (earlier) => (take) => {
  takes.show(take);
  const [before, after] = [new Int16Array(earlier.samples), new Int16Array(take.samples)];
  const same = before.length === after.length && before.every((value, i) => value === after[i]);
  return same ? "Made again: the same to the byte." : "Made again: it differs. Is another model loaded?";
};

function showProgress(made, expected) {
  if (expected) $("progress").value = Math.min(0.98, made / expected);
}

async function speakOne(body, live, place, signal) {
  const collector = new Collector();
  const state = { rate: 0, expected: 0, drawn: 0 };
  const estimate = (plan) => {
    state.expected = plan.seconds / (body.speed ?? 1);
  };
  // Without the estimate the bar shows that work goes on, and no more.
  api.plan(body).then(estimate, () => {});
  const on = {
    start: (facts) => {
      state.rate = facts.rate;
      takes.hear(live.at(facts.rate));
    },
    progress: (event) => {
      if (!collector.length) tell(place + queueText(event));
    },
    samples: (part) => {
      takes.live?.push(part);
      collector.add(part);
      const made = collector.length / state.rate;
      tell(`${place}${made.toFixed(1)} s made.`);
      showProgress(made, state.expected);
      if (!takes.live || performance.now() - state.drawn < 250) return;
      takes.preview(collector.all(), state.rate);
      state.drawn = performance.now();
    },
  };
  const end = await api.speak(body, on, signal);
  const made = { ...body, seed: body.seed ?? end.seed };
  return { body: made, rate: state.rate, samples: collector.all().buffer, made: Date.now() };
}

// One loudspeaker for all the clips of a run, so that a list is heard one clip behind the other.
class Loudspeaker {
  at(rate) {
    this.player ??= new LivePlayer(rate);
    return this.player;
  }
}

// Asks for clips one behind the other; `use` takes each and may return what to tell of it.
async function run(bodies, use) {
  if (running) return;
  running = new AbortController();
  takes.hush();
  busy(true);
  let word = "Done.";
  try {
    const live = new Loudspeaker();
    for (const [index, body] of bodies.entries()) {
      const place = bodies.length > 1 ? `${index + 1} of ${bodies.length}: ` : "";
      word = (await use(await speakOne(body, live, place, running.signal))) || word;
    }
    tell(word);
  } catch (error) {
    takes.drop();
    fail(error);
  } finally {
    running = null;
    busy(false);
  }
}

function busy(on) {
  if (on) {
    $("error").textContent = "";
    tell("Asking.");
  }
  // A button that is switched off loses the focus; the keyboard goes on at the other one.
  const [off, next] = on ? [$("speak"), $("cancel")] : [$("cancel"), $("speak")];
  next.disabled = false;
  if (document.activeElement === off) next.focus();
  off.disabled = true;
  $("progress").hidden = !on;
  $("progress").removeAttribute("value");
}

function speak() {
  try {
    const bodies = requests();
    if (!bodies.length || bodies.some((body) => !body.input.trim())) throw new Error("There is nothing to say yet.");
    run(seeded(bodies), kept);
  } catch (error) {
    fail(error);
  }
}

function pieceItem(piece) {
  const item = document.createElement("li");
  const about = document.createElement("small");
  const pause = piece.pause > 0 ? `, then a pause of ${piece.pause.toFixed(1)} s` : "";
  const when = piece.starts_at === null ? "" : `at ${piece.starts_at.toFixed(1)} s, `;
  about.textContent = ` ${when}about ${piece.seconds.toFixed(1)} s${pause}`;
  item.append(`${piece.voice ? `${piece.voice}: ` : ""}${piece.spoken || piece.text}`, about);
  return item;
}

// What the pieces have in common, and what of the text has no sound.
function planNotes(plan) {
  const silent = plan.left_out.map((part) => `"${part.text}" (${part.reason})`).join(", ");
  return `About ${plan.seconds.toFixed(1)} s in all, read as ${plan.format}, language ${plan.language}.`
    + (silent ? ` Left out: ${silent}.` : "");
}

async function showPlan() {
  const open = $("plan").hidden;
  try {
    if (open) {
      const plan = await api.plan({ ...settings(), input: $("text").value });
      $("pieces").replaceChildren(...plan.pieces.map(pieceItem));
      $("plan-notes").textContent = planNotes(plan);
    }
    $("error").textContent = "";
    $("plan").hidden = !open;
    $("show-plan").setAttribute("aria-expanded", String(open));
    $("show-plan").textContent = open ? "Hide the pieces" : "Show the pieces";
  } catch (error) {
    fail(error);
  }
}

function select(name, focus = false) {
  for (const each of TABS) {
    const chosen = each === name;
    $(`tab-${each}`).setAttribute("aria-selected", String(chosen));
    $(`tab-${each}`).tabIndex = chosen ? 0 : -1;
    $(`panel-${each}`).hidden = !chosen;
  }
  if (name === "dialogue") dialogue.start();
  if (focus) $(`tab-${name}`).focus();
}

function wireTabs() {
  for (const [index, name] of TABS.entries()) {
    $(`tab-${name}`).addEventListener("click", () => select(name));
    $(`tab-${name}`).addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step) select(TABS[(index + step + TABS.length) % TABS.length], true);
      if (event.key === "Home") select(TABS[0], true);
      if (event.key === "End") select(TABS.at(-1), true);
    });
  }
}

function wireTheme() {
  const dark = () => {
    const chosen = document.documentElement.dataset.theme;
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  };
  const apply = (theme) => {
    if (theme) document.documentElement.dataset.theme = theme;
    $("theme").textContent = dark() ? "Light" : "Dark";
    takes.draw(true);
  };
  $("theme").addEventListener("click", () => {
    const theme = dark() ? "light" : "dark";
    remember("theme", theme);
    apply(theme);
  });
  apply(remembered("theme", ""));
}

const valueOf = (field) => (field.type === "checkbox" ? field.checked : field.value);
const defaultOf = (field) => {
  if (field.type === "checkbox") return field.defaultChecked;
  return field.options ? field.options[0].value : field.defaultValue;
};

function putSettings(values) {
  for (const name of SETTINGS) {
    const field = $(name);
    const value = values[name] ?? defaultOf(field);
    if (field.type === "checkbox") field.checked = value;
    else field.value = value;
  }
  $("speed").dispatchEvent(new Event("input"));
}

function wireSettings() {
  $("speed").addEventListener("input", () => {
    $("speed-out").textContent = Number($("speed").value).toFixed(2);
  });
  $("seed").addEventListener("input", () => ($("new-seed").checked = false));
  $("save-defaults").addEventListener("click", () => {
    remember("settings", Object.fromEntries(SETTINGS.map((name) => [name, valueOf($(name))])));
    tell("These settings are kept in this browser.");
  });
  $("reset-defaults").addEventListener("click", () => {
    forget("settings");
    putSettings({});
    tell("Settings are back to where they began.");
  });
  putSettings(remembered("settings", {}));
}

function wireKey() {
  $("key-button").addEventListener("click", () => $("key-dialog").showModal());
  $("key-dialog").addEventListener("close", () => {
    if ($("key-dialog").returnValue !== "save") return;
    api.setKey($("key").value.trim());
    $("error").textContent = "";
    begin();
  });
}

function queueText({ position, waiting, running }) {
  if (position) return `In the queue: place ${position} of ${waiting}, ${running} being made.`;
  return running > 1 ? `Being made, with ${running - 1} more.` : "Being made.";
}

function showServer(text, state) {
  $("server").textContent = text;
  $("server").dataset.state = state;
}

async function begin() {
  try {
    const [state, list] = await Promise.all([api.ready(), api.models()]);
    const ready = state.status === "ready";
    showServer(`${list.data[0].id} · ${state.error?.message ?? state.status}`, ready ? "ready" : "waiting");
    if (!ready) setTimeout(begin, 2000);
    await picker.load();
  } catch (error) {
    showServer("not reachable", "lost");
    fail(error);
  }
}

wireTabs();
wireTheme();
wireSettings();
wireKey();
$("speak").addEventListener("click", speak);
$("cancel").addEventListener("click", () => running?.abort());
$("show-plan").addEventListener("click", showPlan);
const count = () => ($("count").textContent = $("text").value.length);
$("text").addEventListener("input", count);
$("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) speak();
});
count();
takes.draw(true);
takes.list();
begin();
