// What was made: the player with its pictures, downloads, and the history with exact replay.

import * as api from "./api.js";
import { drawSpectrogram, drawWaveform, wavOf } from "./sound.js";
import { addTake, clearTakes, removeTake, takes } from "./store.js";

const $ = (id) => document.getElementById(id);
const seconds = (value) => `${value.toFixed(1)} s`;
const STILL = matchMedia("(prefers-reduced-motion: reduce)");

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

export class Takes {
  // again(take): makes a take once more.
  constructor(again, tell, fail) {
    this.again = again;
    this.tell = tell;
    this.fail = fail;
    this.take = null;
    this.samples = new Int16Array(0);
    this.rate = 0;
    this.live = null;
    this.base = 0;
    this.audio = $("audio");
    this.audio.addEventListener("timeupdate", () => this.draw());
    for (const event of ["play", "pause", "ended"]) this.audio.addEventListener(event, () => this.buttons());
    this.audio.addEventListener("play", () => this.follow());
    $("play").addEventListener("click", () => this.toggle());
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
    $("clear-history").addEventListener("click", () => this.clear());
  }

  get length() {
    return this.rate ? this.samples.length / this.rate : 0;
  }

  get position() {
    if (this.sounding) return Math.min(this.length, Math.max(0, this.live.heard - this.base));
    return this.take ? this.audio.currentTime : 0;
  }

  // Whether the loudspeaker is still busy with what came live.
  get sounding() {
    return Boolean(this.live?.left);
  }

  get listening() {
    return !this.audio.paused;
  }

  // What comes next is heard through `live`, which has had `base` seconds of other clips before.
  hear(live) {
    this.audio.pause();
    this.live = live;
    this.base = live.pushed;
  }

  hush() {
    this.live?.stop();
    this.live = null;
    this.buttons();
    this.draw();
  }

  // Pictures of what is there so far, while more of it comes.
  preview(samples, rate) {
    this.take = null;
    this.rate = rate;
    this.samples = samples;
    $("about").textContent = "";
    this.draw(true);
    this.buttons();
    this.follow();
  }

  show(take, play = false) {
    this.take = take;
    this.rate = take.rate;
    this.samples = new Int16Array(take.samples);
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = URL.createObjectURL(wavOf(this.samples, take.rate));
    this.audio.src = this.url;
    $("about").textContent = `${take.body.voice || "any voice"} · seed ${take.body.seed}`;
    this.draw(true);
    this.buttons();
    if (play) this.toggle();
  }

  // A clip that did not come to its end leaves nothing to play.
  drop() {
    this.hush();
    if (this.take) return;
    this.samples = new Int16Array(0);
    this.draw(true);
    this.buttons();
  }

  toggle() {
    if (this.sounding) this.hush();
    else if (this.audio.paused) this.audio.play().catch(() => this.tell("Press Play to listen."));
    else this.audio.pause();
  }

  // Moves the marker while something is heard; with reduced motion in the browser's own slow steps.
  follow() {
    if (this.following) return;
    this.following = true;
    const step = () => {
      this.draw();
      if (!this.sounding && this.audio.paused) {
        this.following = false;
        this.buttons();
      } else if (STILL.matches) setTimeout(step, 500);
      else requestAnimationFrame(step);
    };
    step();
  }

  buttons() {
    const has = Boolean(this.take);
    $("play").disabled = !has && !this.sounding;
    $("play").textContent = this.sounding ? "Stop" : this.audio.paused ? "Play" : "Pause";
    $("loop").disabled = !has;
    $("loop").setAttribute("aria-pressed", String(this.audio.loop));
    for (const button of $("downloads").children) button.disabled = !has;
    const srt = $("downloads").querySelector("[data-format=srt]");
    const slow = has && this.take.body.speed !== undefined && this.take.body.speed !== 1;
    srt.disabled = !has || slow;
    srt.title = slow ? "Subtitles are made for clips at speed 1" : "";
  }

  draw(all = false) {
    const at = this.position;
    const slider = $("waveform");
    drawWaveform(slider, this.samples, this.length ? at / this.length : 0);
    if (all) drawSpectrogram($("spectrogram"), this.samples);
    slider.parentElement.toggleAttribute("data-empty", !this.samples.length);
    $("time").textContent = `${at.toFixed(1)} / ${seconds(this.length)}`;
    slider.setAttribute("aria-valuemax", this.length.toFixed(1));
    slider.setAttribute("aria-valuenow", at.toFixed(1));
    slider.setAttribute("aria-valuetext", `${seconds(at)} of ${seconds(this.length)}`);
  }

  seek(to) {
    if (!this.take) return;
    if (this.sounding) this.hush();
    this.audio.currentTime = Math.min(this.length, Math.max(0, to));
    this.draw();
  }

  key(event) {
    const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -5, PageUp: 5 };
    if (event.key in steps) this.seek(this.position + steps[event.key]);
    else if (event.key === "Home") this.seek(0);
    else if (event.key === "End") this.seek(this.length);
    else if (event.key === " ") $("play").click();
    else return;
    event.preventDefault();
  }

  async download(format) {
    if (!format || !this.take) return;
    const { body, rate } = this.take;
    const name = `openbark-${body.seed}.${format}`;
    try {
      if (format === "wav") save(wavOf(this.samples, rate), name);
      else {
        this.tell(`Making the ${format === "npz" ? "voice" : format.toUpperCase()}.`);
        save(await api.download(body, format), name);
        this.tell("");
      }
    } catch (error) {
      this.fail(error);
    }
  }

  async keep(take) {
    take.id = await addTake(take);
    await this.list();
    return take;
  }

  async clear() {
    if (!confirm("Remove every clip of the history from this browser?")) return;
    await clearTakes();
    await this.list();
  }

  async list() {
    const all = await takes();
    $("history").replaceChildren(...all.reverse().map((take) => this.row(take)));
    $("history-empty").hidden = all.length > 0;
    $("clear-history").hidden = all.length === 0;
  }

  row(take) {
    const row = document.createElement("li");
    const said = Object.assign(document.createElement("span"), { className: "said", textContent: take.body.input });
    const length = take.samples.byteLength / 2 / take.rate;
    const facts = Object.assign(document.createElement("span"), {
      className: "facts",
      textContent: `${take.body.voice || "any voice"} · seed ${take.body.seed} · ${seconds(length)}`,
    });
    const button = (text, act) => {
      const made = Object.assign(document.createElement("button"), { type: "button", textContent: text });
      made.setAttribute("aria-label", `${text}: ${take.body.input.slice(0, 40)}`);
      made.addEventListener("click", act);
      return made;
    };
    const remove = async () => {
      await removeTake(take.id);
      await this.list();
    };
    const listen = () => {
      this.hush();
      this.show(take, true);
    };
    row.append(
      said,
      facts,
      button("Listen", listen),
      button("Make again", () => this.again(take)),
      button("Remove", remove),
    );
    return row;
  }
}
