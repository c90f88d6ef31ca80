// The choice of a voice: find, hear, star, upload, forget.

import * as api from "./api.js";
import { remember, remembered } from "./store.js";

const PREVIEW = "Hello, this is how I sound.";
const $ = (id) => document.getElementById(id);

export class VoicePicker {
  constructor(play, fail) {
    this.play = play;
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
  }

  options() {
    return [{ id: "", name: "the model chooses" }, ...this.known];
  }

  show() {
    const wanted = $("voice-filter").value.trim().toLowerCase();
    const fits = (voice) => voice.name.toLowerCase().includes(wanted);
    const starred = (voice) => (this.stars.has(voice.id) ? 0 : 1);
    const shown = this.options().filter(fits).sort((a, b) => starred(a) - starred(b));
    $("voice-list").replaceChildren(...shown.map((voice) => this.row(voice)));
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
    label.append(radio, voice.metadata?.speaks_as ? `${voice.name} (${voice.metadata.speaks_as})` : voice.name);
    row.append(label);
    if (voice.id) row.append(this.button("▶", `Hear ${voice.name}`, () => this.preview(voice)), this.star(voice));
    if (voice.uploaded) row.append(this.button("✕", `Forget ${voice.name}`, () => this.forget(voice)));
    return row;
  }

  button(sign, name, act) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = sign;
    button.setAttribute("aria-label", name);
    button.title = name;
    button.addEventListener("click", act);
    return button;
  }

  star(voice) {
    const button = this.button(this.stars.has(voice.id) ? "★" : "☆", `Favourite ${voice.name}`, () => {
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
      const made = await api.uploadVoice(file, file.name.replace(/\.npz$/i, "").slice(0, 64));
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
