// Turns of a dialogue: a speaker's name, a voice, a line. Asked for as one
// script, with a voice for each name.

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
    this.add("Anna", 0, "Did you hear that?");
    this.add("Ben", 1, "Yes. It came from the machine.");
  }

  // Offers the voices that there are now; what was chosen stays chosen.
  refresh() {
    for (const select of $("turns").querySelectorAll("select")) this.fill(select, select.value);
  }

  fill(select, chosen) {
    select.replaceChildren(...this.options().map((each) => new Option(each.name, each.id)));
    if (chosen) select.value = chosen;
    if (select.selectedIndex < 0) select.selectedIndex = 0;
  }

  add(name = `Speaker ${$("turns").children.length + 1}`, choice = 0, line = "") {
    const turn = document.createElement("li");
    const voice = field("select", "Voice", "");
    this.fill(voice, "");
    voice.selectedIndex = Math.min(choice, voice.length - 1);
    const text = field("textarea", "Line", line);
    text.rows = 1;
    const remove = document.createElement("button");
    remove.type = "button";
    remove.textContent = "✕";
    remove.title = "Remove this turn";
    remove.setAttribute("aria-label", `Remove the turn of ${name}`);
    remove.addEventListener("click", () => {
      turn.remove();
      $("add-turn").focus();
    });
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
      if (!speaker) throw new Error("Every turn needs the name of its speaker.");
      if (speakers[speaker] !== undefined && speakers[speaker] !== voice.value) {
        throw new Error(`${speaker} has two voices; give each voice a name of its own.`);
      }
      speakers[speaker] = voice.value;
      lines.push(`${speaker}: ${line}`);
    }
    if (Object.values(speakers).some((voice) => !voice)) throw new Error("Choose a voice for every speaker.");
    return { input: lines.join("\n"), script: "text", speakers };
  }
}
