// Samples: into a WAV file, into pictures, and out of the loudspeaker while more of them come.

export function wavOf(samples, rate) {
  const head = new DataView(new ArrayBuffer(44));
  const text = (at, word) => [...word].forEach((letter, i) => head.setUint8(at + i, letter.charCodeAt(0)));
  text(0, "RIFF");
  head.setUint32(4, 36 + samples.byteLength, true);
  text(8, "WAVEfmt ");
  head.setUint32(16, 16, true);
  head.setUint16(20, 1, true);
  head.setUint16(22, 1, true);
  head.setUint32(24, rate, true);
  head.setUint32(28, rate * 2, true);
  head.setUint16(32, 2, true);
  head.setUint16(34, 16, true);
  text(36, "data");
  head.setUint32(40, samples.byteLength, true);
  return new Blob([head.buffer, samples], { type: "audio/wav" });
}

export class Collector {
  constructor() {
    this.parts = [];
    this.length = 0;
  }
  add(samples) {
    this.parts.push(samples);
    this.length += samples.length;
  }
  all() {
    const joined = new Int16Array(this.length);
    let at = 0;
    for (const part of this.parts) {
      joined.set(part, at);
      at += part.length;
    }
    return joined;
  }
}

// Plays blocks one behind the other as they come; the first waits for a small reserve, which grows when the
// network was late once.
export class LivePlayer {
  constructor(rate) {
    this.context = new AudioContext({ sampleRate: rate });
    this.rate = rate;
    this.next = 0;
    this.pushed = 0;
    this.reserve = 0.15;
  }

  push(samples) {
    if (!samples.length) return;
    const buffer = this.context.createBuffer(1, samples.length, this.rate);
    buffer.getChannelData(0).set(Float32Array.from(samples, (value) => value / 32767));
    const source = this.context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.context.destination);
    const now = this.context.currentTime;
    if (this.next < now) {
      if (this.next > 0) this.reserve = Math.min(1.5, this.reserve * 2);
      this.next = now + this.reserve;
    }
    source.start(this.next);
    this.next += buffer.duration;
    this.pushed += buffer.duration;
  }

  // Seconds of sound that are scheduled and not heard yet.
  get left() {
    return this.context.state === "closed" ? 0 : Math.max(0, this.next - this.context.currentTime);
  }

  get heard() {
    return this.pushed - this.left;
  }

  stop() {
    if (this.context.state !== "closed") this.context.close();
  }
}

// Colours come from the style sheet, through the canvas's own `color`: a theme is chosen in one place.
const inkOf = (canvas) => getComputedStyle(canvas).color;

// Lowest and highest sample of each column. Kept for as long as the samples are: the marker moves over the same
// picture many times a second.
const outlines = new WeakMap();

function outlineOf(samples, width) {
  if (outlines.has(samples)) return outlines.get(samples);
  const outline = { low: new Int16Array(width), high: new Int16Array(width), peak: 0 };
  const step = samples.length / width;
  for (let x = 0; x < width; x += 1) {
    const end = Math.min(samples.length, Math.ceil((x + 1) * step));
    for (let i = Math.floor(x * step); i < end; i += 1) {
      outline.low[x] = Math.min(outline.low[x], samples[i]);
      outline.high[x] = Math.max(outline.high[x], samples[i]);
    }
    outline.peak = Math.max(outline.peak, outline.high[x], -outline.low[x]);
  }
  outlines.set(samples, outline);
  return outline;
}

export function drawWaveform(canvas, samples, position = 0) {
  const { width, height } = canvas;
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, width, height);
  if (!samples.length) return;
  const { low, high, peak } = outlineOf(samples, width);
  // The loudest moment fills the picture, but a nearly silent clip does not look loud.
  const room = 2.2 * Math.max(peak, 4096);
  context.fillStyle = inkOf(canvas);
  for (let x = 0; x < width; x += 1) {
    context.globalAlpha = x / width < position ? 1 : 0.5;
    context.fillRect(x, (0.5 - high[x] / room) * height, 1, Math.max(1, ((high[x] - low[x]) / room) * height));
  }
  context.globalAlpha = 1;
  if (position > 0) context.fillRect(Math.min(position * width, width - 3), 0, 3, height);
}

const SIZE = 512;
const COLUMNS = 400;
const COSINES = Float32Array.from({ length: SIZE / 2 }, (_, i) => Math.cos((2 * Math.PI * i) / SIZE));
const SINES = Float32Array.from({ length: SIZE / 2 }, (_, i) => -Math.sin((2 * Math.PI * i) / SIZE));
const HANN = Float32Array.from({ length: SIZE }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / SIZE));

// An FFT of SIZE values, in place.
function transform(real, imaginary) {
  for (let i = 1, j = 0; i < SIZE; i += 1) {
    let bit = SIZE >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      [real[i], real[j]] = [real[j], real[i]];
      [imaginary[i], imaginary[j]] = [imaginary[j], imaginary[i]];
    }
  }
  for (let span = 2; span <= SIZE; span <<= 1) {
    for (let start = 0; start < SIZE; start += span) {
      for (let k = 0; k < span / 2; k += 1) {
        const turn = (k * SIZE) / span;
        const a = start + k;
        const b = a + span / 2;
        const re = real[b] * COSINES[turn] - imaginary[b] * SINES[turn];
        const im = real[b] * SINES[turn] + imaginary[b] * COSINES[turn];
        real[b] = real[a] - re;
        imaginary[b] = imaginary[a] - im;
        real[a] += re;
        imaginary[a] += im;
      }
    }
  }
}

export function drawSpectrogram(canvas, samples) {
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  if (samples.length < SIZE) return;
  const image = new ImageData(COLUMNS, SIZE / 2);
  for (let column = 0; column < COLUMNS; column += 1) {
    const start = Math.floor((column / COLUMNS) * (samples.length - SIZE));
    const real = Float32Array.from({ length: SIZE }, (_, i) => (samples[start + i] / 32768) * HANN[i]);
    const imaginary = new Float32Array(SIZE);
    transform(real, imaginary);
    for (let bin = 0; bin < SIZE / 2; bin += 1) {
      const decibels = 10 * Math.log10(real[bin] ** 2 + imaginary[bin] ** 2 + 1e-9);
      // The theme's own ink, from clear to full: 70 dB.
      const level = Math.min(1, Math.max(0, (decibels + 50) / 70));
      image.data[4 * ((SIZE / 2 - 1 - bin) * COLUMNS + column) + 3] = 255 * level ** 1.5;
    }
  }
  const small = new OffscreenCanvas(COLUMNS, SIZE / 2);
  const ink = small.getContext("2d");
  ink.putImageData(image, 0, 0);
  ink.globalCompositeOperation = "source-in";
  ink.fillStyle = inkOf(canvas);
  ink.fillRect(0, 0, COLUMNS, SIZE / 2);
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
}
