// The server's public API, as the page uses it. Knows no element of the page.

let key = sessionStorage.getItem("openbark.key") || "";

export function setKey(value) {
  key = value;
  sessionStorage.setItem("openbark.key", value);
}

export class ApiError extends Error {
  constructor(status, error) {
    super(error?.message || `the server answered ${status}`);
    this.status = status;
    this.code = error?.code;
  }
}

async function ask(path, options = {}) {
  const headers = { ...(options.headers || {}), ...(key ? { Authorization: `Bearer ${key}` } : {}) };
  const answer = await fetch(path, { ...options, headers }).catch((error) => {
    throw error.name === "AbortError" ? error : new ApiError(0, { message: "The server cannot be reached." });
  });
  if (!answer.ok) {
    const body = await answer.json().catch(() => null);
    throw new ApiError(answer.status, body?.error);
  }
  return answer;
}

function post(path, body, signal) {
  return ask(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    signal,
  });
}

export const ready = async () => (await fetch("/health/ready")).json();
export const models = async () => (await ask("/v1/models")).json();
export const voices = async () => (await (await ask("/v1/audio/voices")).json()).voices;
export const plan = async (body) => (await post("/v1/audio/speech/plan", body)).json();
export const deleteVoice = (id) => ask(`/v1/audio/voices/${encodeURIComponent(id)}`, { method: "DELETE" });

export async function uploadVoice(file, name) {
  const form = new FormData();
  form.append("name", name);
  form.append("type", "prompt");
  form.append("audio_sample", file);
  return (await ask("/v1/audio/voices", { method: "POST", body: form })).json();
}

// A file of the same audio in another form: the same request and seed give the same audio.
export async function download(body, format) {
  if (format === "srt") return (await post("/v1/audio/speech/timings?format=srt", { ...body, speed: 1 })).blob();
  if (format === "npz") return (await post("/v1/audio/speech/voice", body)).blob();
  return (await post("/v1/audio/speech", { ...body, response_format: format, stream: false })).blob();
}

function samplesOf(base64) {
  const text = atob(base64);
  const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
  return new Int16Array(bytes.buffer, 0, bytes.length >> 1);
}

async function* eventsOf(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const data = part.split("\n").find((line) => line.startsWith("data: "));
      if (data) yield JSON.parse(data.slice(6));
    }
  }
}

// Speaks: calls `on.start({rate})`, `on.samples(Int16Array)`, `on.progress(event)`; resolves to the last event.
export async function speak(body, on, signal) {
  const wanted = { ...body, response_format: "pcm", stream_format: "sse", progress: true };
  const answer = await post("/v1/audio/speech", wanted, signal);
  const rate = Number(answer.headers.get("X-Sample-Rate"));
  const seed = Number(answer.headers.get("X-Seed"));
  on.start({ rate });
  for await (const event of eventsOf(answer)) {
    if (event.type === "speech.audio.delta") on.samples(samplesOf(event.audio));
    else if (event.type === "speech.progress") on.progress(event);
    else if (event.type === "speech.audio.error") throw new ApiError(500, event.error);
    else if (event.type === "speech.audio.done") return { ...event, rate, seed };
  }
  throw new ApiError(500, { message: "the connection broke before the end" });
}
