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
const SETTINGS = [...NUMBERS, ...CHOICES, "speed", "takes", "seed"];
const TABS = ["text", "dialogue", "list"];

const tell = (text) => ($("status").textContent = text);
function fail(error) {
  if (error.name === "AbortError") return tell("Cancelled.");
  $("error").textContent = error.status === 401 ? "This server asks for an API key." : error.message;
  tell("");
  if (error.status === 401) $("key-dialog").showModal();
}

const takes = new Takes(tell, fail);
const picker = new VoicePicker((body) => run([body], false), fail);
const dialogue = new Dialogue(() => picker.options());
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

async function speakOne(body, keep, place, signal) {
  const collector = new Collector();
  let live = null;
  let rate = 0;
  let drawn = 0;
  const on = {
    start: (facts) => {
      rate = facts.rate;
      live = new LivePlayer(rate);
    },
    progress: (event) => {
      if (!collector.length) tell(`${place}Waiting: ${event.waiting} in the queue, ${event.running} being made.`);
    },
    samples: (part) => {
      live.push(part);
      collector.add(part);
      tell(`${place}${(collector.length / rate).toFixed(1)} s of audio made.`);
      if (performance.now() - drawn > 250) {
        takes.preview(collector, rate);
        drawn = performance.now();
      }
    },
  };
  const stop = () => live?.stop();
  signal.addEventListener("abort", stop);
  try {
    const end = await api.speak(body, on, signal);
    const made = { ...body, seed: body.seed ?? end.seed };
    const take = keep ? await takes.keep(made, collector, rate) : { body: made, rate, samples: collector.all().buffer };
    takes.show(take);
    await live.ended();
  } finally {
    signal.removeEventListener("abort", stop);
    stop();
  }
}

async function run(bodies, keep = true) {
  if (running) return;
  running = new AbortController();
  $("error").textContent = "";
  $("speak").disabled = true;
  $("cancel").disabled = false;
  $("progress").hidden = false;
  $("progress").removeAttribute("value");
  try {
    for (const [index, body] of bodies.entries()) {
      const place = bodies.length > 1 ? `${index + 1} of ${bodies.length}: ` : "";
      await speakOne(body, keep, place, running.signal);
    }
    tell("Done.");
  } catch (error) {
    fail(error);
  } finally {
    running = null;
    $("speak").disabled = false;
    $("cancel").disabled = true;
    $("progress").hidden = true;
  }
}

function speak() {
  try {
    const bodies = requests();
    if (!bodies.length || bodies.some((body) => !body.input.trim())) throw new Error("There is nothing to say yet.");
    run(seeded(bodies));
  } catch (error) {
    fail(error);
  }
}

async function showPlan() {
  try {
    const pieces = await api.plan({ ...settings(), speed: 1, input: $("text").value });
    $("plan").hidden = false;
    $("plan").replaceChildren(
      ...pieces.map((piece) => {
        const item = document.createElement("li");
        item.textContent = `${piece.text} (about ${piece.seconds.toFixed(1)} s)`;
        return item;
      }),
    );
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

function wireSettings() {
  const show = () => ($("speed-out").textContent = Number($("speed").value).toFixed(2));
  const kept = remembered("settings", {});
  for (const [name, value] of Object.entries(kept)) if ($(name)) $(name).value = value;
  show();
  $("speed").addEventListener("input", show);
  $("save-defaults").addEventListener("click", () => {
    remember("settings", Object.fromEntries(SETTINGS.map((name) => [name, $(name).value])));
    tell("These settings are kept in this browser.");
  });
  $("reset-defaults").addEventListener("click", () => {
    forget("settings");
    for (const name of SETTINGS) $(name).value = $(name).defaultValue ?? $(name).options[0].value;
    $("speed").value = 1;
    show();
    tell("Settings are back to where they began.");
  });
  $("seed").addEventListener("input", () => ($("new-seed").checked = false));
}

function wireKey() {
  $("key-button").addEventListener("click", () => $("key-dialog").showModal());
  $("key-dialog").addEventListener("close", () => {
    if ($("key-dialog").returnValue !== "save") return;
    api.setKey($("key").value.trim());
    begin();
  });
}

async function begin() {
  try {
    const [state, list] = await Promise.all([api.ready(), api.models()]);
    $("server").textContent = `${list.data[0].id} · ${state.status}`;
    await picker.load();
  } catch (error) {
    $("server").textContent = "not reachable";
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
