// The choice of a voice: find, hear, star, upload, forget.

import * as api from "./api.js";
import { remember, remembered } from "./store.js";

const PREVIEW = "Hello, this is how I sound.";
const $ = (id) => document.getElementById(id);

export class VoicePicker {
  // play(body): speaks a preview; changed(): the list of voices is another one now.
  constructor(play, changed, fail) {
    this.play = play;
    this.changed = changed;
    this.fail = fail;
    this.known = [];
    this.stars = new Set(remembered("stars", []));
    this.chosen = remembered("voice", "");
    $("voice-filter").addEventListener("input", () => this.show());
    $("voice-file").addEventListener("change", (event) => this.upload(event.target));
  }

  async load() {
    this.known = await api.voices();
    if (this.chosen && !this.known.some((voice) => voice.id === this.chosen)) this.chosen = "";
    if (!this.chosen && this.known.length) this.chosen = this.known[0].id;
    this.show();
    this.changed();
  }

  // The voices themselves, each once.
  named() {
    return this.known.filter((voice) => !this.alias(voice));
  }

  options() {
    return [...this.known, { id: "", name: "any voice" }];
  }

  show() {
    const wanted = $("voice-filter").value.trim().toLowerCase();
    // Names of other services' voices are second names of ours: found when looked for, else out of the way.
    const fits = (voice) =>
      wanted ? voice.name.toLowerCase().includes(wanted) : !this.alias(voice) || voice.id === this.chosen;
    const rank = (voice) => (this.stars.has(voice.id) ? 0 : 1);
    const shown = this.options().filter(fits).sort((a, b) => rank(a) - rank(b));
    const focused = document.activeElement?.dataset.focus;
    $("voice-list").replaceChildren(...shown.map((voice) => this.row(voice)));
    if (focused) $("voice-list").querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus();
    $("voice-note").textContent = shown.length ? "" : "No voice has this in its name.";
  }

  alias(voice) {
    return voice.metadata?.speaks_as;
  }

  row(voice) {
    const row = document.createElement("div");
    row.className = "voice";
    const label = document.createElement("label");
    const radio = document.createElement("input");
    radio.type = "radio";
    radio.name = "voice";
    radio.value = voice.id;
    radio.checked = voice.id === this.chosen;
    radio.addEventListener("change", () => {
      this.chosen = voice.id;
      remember("voice", voice.id);
    });
    label.append(radio, voice.name);
    const origin = this.alias(voice) ? `speaks as ${this.alias(voice)}` : voice.uploaded ? "yours" : "";
    if (origin) label.append(Object.assign(document.createElement("small"), { textContent: origin }));
    row.append(label);
    if (voice.id) row.append(this.button("▶\uFE0E", `Hear ${voice.name}`, () => this.preview(voice)), this.star(voice));
    if (voice.uploaded) row.append(this.button("✕", `Forget ${voice.name}`, () => this.forget(voice)));
    return row;
  }

  button(sign, name, act) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = sign;
    button.setAttribute("aria-label", name);
    button.title = name;
    button.dataset.focus = name;
    button.addEventListener("click", act);
    return button;
  }

  star(voice) {
    const button = this.button(this.stars.has(voice.id) ? "★\uFE0E" : "☆\uFE0E", `Favourite ${voice.name}`, () => {
      if (!this.stars.delete(voice.id)) this.stars.add(voice.id);
      remember("stars", [...this.stars]);
      this.show();
    });
    button.setAttribute("aria-pressed", String(this.stars.has(voice.id)));
    return button;
  }

  preview(voice) {
    this.play({ input: PREVIEW, voice: voice.id, seed: 1 });
  }

  async upload(input) {
    const [file] = input.files;
    if (!file) return;
    try {
      // A voice's name has letters, digits and . _ - only, a letter or digit first.
      const words = file.name.replace(/\.npz$/i, "").replace(/[^A-Za-z0-9._-]+/g, "-");
      const name = words.replace(/^[._-]+|[._-]+$/g, "").slice(0, 64) || "voice";
      const made = await api.uploadVoice(file, name);
      this.chosen = made.id;
      remember("voice", made.id);
      await this.load();
      $("voice-note").textContent = `${made.name} is uploaded and chosen.`;
    } catch (error) {
      this.fail(error);
    }
    input.value = "";
  }

  async forget(voice) {
    try {
      await api.deleteVoice(voice.id);
      await this.load();
      $("voice-note").textContent = `${voice.name} is forgotten.`;
    } catch (error) {
      this.fail(error);
    }
  }
}
