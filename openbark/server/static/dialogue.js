// Turns of a dialogue: a speaker's name, a voice, a line. As one request: a script with a voice for each name.

const $ = (id) => document.getElementById(id);

function field(tag, name, value) {
  const element = document.createElement(tag);
  element.setAttribute("aria-label", name);
  element.value = value;
  return element;
}

export class Dialogue {
  constructor(options) {
    this.options = options;
    $("add-turn").addEventListener("click", () => this.add().querySelector("textarea").focus());
  }

  start() {
    if ($("turns").children.length) return;
    this.add("Anna", 1, "Did you hear that?");
    this.add("Ben", 2, "Yes. It came from the machine.");
  }

  add(name = `Speaker ${$("turns").children.length + 1}`, choice = 0, line = "") {
    const turn = document.createElement("li");
    const voice = field("select", "Voice", "");
    const options = this.options();
    voice.append(...options.map((each) => new Option(each.name, each.id)));
    voice.selectedIndex = Math.min(choice, options.length - 1);
    const text = field("textarea", "Line", line);
    text.rows = 1;
    const remove = document.createElement("button");
    remove.type = "button";
    remove.textContent = "Remove";
    remove.addEventListener("click", () => turn.remove());
    turn.append(field("input", "Speaker", name), voice, text, remove);
    $("turns").append(turn);
    return turn;
  }

  request() {
    const speakers = {};
    const lines = [];
    for (const turn of $("turns").children) {
      const [name, voice, text] = turn.querySelectorAll("input, select, textarea");
      const line = text.value.trim().replace(/\s+/g, " ");
      const speaker = name.value.trim();
      if (!line) continue;
      if (!speaker) throw new Error("every turn needs the name of its speaker");
      if (speakers[speaker] !== undefined && speakers[speaker] !== voice.value) {
        throw new Error(`${speaker} has two voices; give each voice a name of its own`);
      }
      speakers[speaker] = voice.value;
      lines.push(`${speaker}: ${line}`);
    }
    const named = Object.fromEntries(Object.entries(speakers).filter(([, voice]) => voice));
    if (Object.keys(named).length < Object.keys(speakers).length) {
      throw new Error("choose a voice for every speaker");
    }
    return { input: lines.join("\n"), script: "text", speakers: named };
  }
}
