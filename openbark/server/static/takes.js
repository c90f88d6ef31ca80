// What was made: the player with its pictures, downloads, and the history with exact replay.

import * as api from "./api.js";
import { Collector, drawSpectrogram, drawWaveform, wavOf } from "./sound.js";
import { addTake, clearTakes, removeTake, takes } from "./store.js";

const $ = (id) => document.getElementById(id);
const seconds = (value) => `${value.toFixed(1)} s`;

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

export class Takes {
  constructor(tell, fail) {
    this.tell = tell;
    this.fail = fail;
    this.take = null;
    this.samples = new Int16Array(0);
    this.audio = $("audio");
    this.audio.addEventListener("timeupdate", () => this.draw());
    for (const event of ["play", "pause", "ended"]) this.audio.addEventListener(event, () => this.buttons());
    $("play").addEventListener("click", () => (this.audio.paused ? this.audio.play() : this.audio.pause()));
    $("loop").addEventListener("click", () => {
      this.audio.loop = !this.audio.loop;
      this.buttons();
    });
    $("waveform").addEventListener("click", (event) => {
      const box = event.target.getBoundingClientRect();
      this.seek(((event.clientX - box.left) / box.width) * this.length);
    });
    $("waveform").addEventListener("keydown", (event) => this.key(event));
    $("downloads").addEventListener("click", (event) => this.download(event.target.dataset.format));
    $("clear-history").addEventListener("click", async () => {
      await clearTakes();
      this.list();
    });
  }

  get length() {
    return this.take ? this.samples.length / this.take.rate : 0;
  }

  // Pictures of what is there so far, while more of it comes.
  preview(collector, rate) {
    this.take = { rate };
    this.samples = collector.all();
    this.draw(true);
  }

  show(take, play = false) {
    this.take = take;
    this.samples = new Int16Array(take.samples);
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = URL.createObjectURL(wavOf(this.samples, take.rate));
    this.audio.src = this.url;
    $("about").textContent = `${take.body.input.slice(0, 200)} · seed ${take.body.seed}`;
    this.draw(true);
    this.buttons();
    if (play) this.audio.play().catch(() => this.tell("Press Play to listen."));
  }

  buttons() {
    const has = Boolean(this.take?.samples);
    $("play").disabled = !has;
    $("play").textContent = this.audio.paused ? "Play" : "Pause";
    $("loop").setAttribute("aria-pressed", String(this.audio.loop));
    for (const button of $("downloads").children) button.disabled = !has;
  }

  draw(all = false) {
    const at = this.take?.samples ? this.audio.currentTime : 0;
    drawWaveform($("waveform"), this.samples, this.length ? at / this.length : 0);
    if (all) drawSpectrogram($("spectrogram"), this.samples);
    $("time").textContent = `${at.toFixed(1)} / ${seconds(this.length)}`;
    const slider = $("waveform");
    slider.setAttribute("aria-valuemax", this.length.toFixed(1));
    slider.setAttribute("aria-valuenow", at.toFixed(1));
    slider.setAttribute("aria-valuetext", `${seconds(at)} of ${seconds(this.length)}`);
  }

  seek(to) {
    this.audio.currentTime = Math.min(this.length, Math.max(0, to));
    this.draw();
  }

  key(event) {
    const steps = { ArrowLeft: -1, ArrowRight: 1, PageDown: -5, PageUp: 5 };
    if (event.key in steps) this.seek(this.audio.currentTime + steps[event.key]);
    else if (event.key === "Home") this.seek(0);
    else if (event.key === "End") this.seek(this.length);
    else if (event.key === " ") $("play").click();
    else return;
    event.preventDefault();
  }

  async download(format) {
    if (!format || !this.take?.samples) return;
    const name = `openbark-${this.take.body.seed}.${format}`;
    try {
      if (format === "wav") save(wavOf(this.samples, this.take.rate), name);
      else save(await api.download(this.take.body, format), name);
    } catch (error) {
      this.fail(error);
    }
  }

  async keep(body, collector, rate) {
    const take = { body, rate, samples: collector.all().buffer, made: Date.now() };
    take.id = await addTake(take);
    await this.list();
    return take;
  }

  async list() {
    const all = await takes();
    $("history").replaceChildren(...all.reverse().map((take) => this.row(take)));
  }

  row(take) {
    const row = document.createElement("li");
    const said = document.createElement("span");
    said.className = "said";
    said.textContent = take.body.input.slice(0, 120);
    const facts = document.createElement("span");
    facts.className = "facts";
    const length = take.samples.byteLength / 2 / take.rate;
    facts.textContent = `${take.body.voice || "any voice"} · seed ${take.body.seed} · ${seconds(length)}`;
    const button = (text, act) => {
      const made = document.createElement("button");
      made.type = "button";
      made.textContent = text;
      made.setAttribute("aria-label", `${text}: ${take.body.input.slice(0, 40)}`);
      made.addEventListener("click", act);
      return made;
    };
    row.append(
      said,
      facts,
      button("Listen", () => this.show(take, true)),
      button("Make again", () => this.again(take)),
      button("Remove", async () => {
        await removeTake(take.id);
        this.list();
      }),
    );
    return row;
  }

  // The same request once more: the same audio, which is checked sample for sample.
  async again(take) {
    this.tell("Making it again.");
    try {
      const collector = new Collector();
      await api.speak(take.body, { start() {}, progress() {}, samples: (part) => collector.add(part) });
      const [before, after] = [new Int16Array(take.samples), collector.all()];
      const same = before.length === after.length && before.every((value, i) => value === after[i]);
      this.tell(same ? "Made again: the same to the byte." : "Made again: it differs. Is another model loaded?");
      this.show({ ...take, samples: after.buffer }, true);
    } catch (error) {
      this.fail(error);
    }
  }
}
