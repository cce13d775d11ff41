// The keyboard, and the list of its keys. A key that means something where the focus is keeps that meaning:
// letters in a text, Space on a button, arrows in a row of choices. All can be turned off in the list.

const TYPING = "textarea, select, [contenteditable], input:not([type=range], [type=checkbox], [type=radio])";
const PRESSED = "button, a, summary, [role=radio], [role=switch], input[type=checkbox], input[type=radio]";
const SEEK = 2; // s by an arrow
const SEEK_FAR = 5; // s with Shift
const LOUDER = 0.1;

let soundedLast = null; // of two players side by side
const everyKeys = new Set(); // of all players of the page: one switch is for all

class Keys {
  constructor(player, dialog, opener) {
    this.player = player;
    this.dialog = dialog;
    this.opener = opener;
    this.active = dialog.querySelector("input");
    this.active.checked = readStored("shortcuts") !== "off";
    everyKeys.add(this);
  }

  // The list in the study's words, with the keys that this page knows.
  write({ keys, pair, shortcuts: words, words: { help } }) {
    this.asked = keys || [];
    if (!words || this.written === this.asked.join()) return;
    this.written = this.asked.join();
    const rows = [
      [[words.space, "K"], words.play],
      [["←", "→"], words.seek],
      [["↑", "↓"], words.volume],
      [["L"], words.loop],
    ];
    if (this.asked.includes("musicality")) rows.push([["0–9", "X"], words.rating]);
    if (this.asked.includes("verdict")) rows.push([["R", "F"], words.real]);
    if (pair) rows.unshift([["A", "B"], words.key_play]);
    if (pair) rows.push([["1", "2"], words.key_choose]);
    rows.push([["?"], words.help]);
    const list = this.dialog.querySelector("dl");
    list.replaceChildren(
      ...rows.map(([caps, meaning]) => {
        const row = document.createElement("div");
        const term = document.createElement("dt");
        for (const cap of caps) {
          const key = document.createElement("kbd");
          key.textContent = cap;
          term.append(key);
        }
        const explained = document.createElement("dd");
        explained.textContent = meaning;
        row.append(term, explained);
        return row;
      }),
    );
    this.dialog.querySelector("h2").textContent = words.title;
    this.dialog.querySelector(".texts").textContent = words.texts;
    this.dialog.querySelector("label span").textContent = words.on;
    this.dialog.querySelector(".close").textContent = words.close;
    this.opener.setAttribute("aria-label", help);
    this.opener.title = help;
  }

  listen(on) {
    on(window, "keydown", (event) => this.pressed(event), true); // before Streamlit, where R runs the page
    on(this.opener, "click", () => this.open());
    on(this.dialog.querySelector(".close"), "click", () => this.dialog.close());
    on(this.dialog, "click", (event) => event.target === this.dialog && this.dialog.close());
    on(this.active, "change", () => {
      writeStored("shortcuts", this.active.checked ? "on" : "off");
      for (const one of everyKeys) one.active.checked = this.active.checked;
    });
  }

  // Whether keys without a letter of their own are for this one of two players: it sounded last.
  get inFront() {
    const { pair } = this.player.data;
    return !pair || (soundedLast && !soundedLast.gone ? soundedLast === this.player : pair === "a");
  }

  open() {
    if (!this.dialog.open) this.dialog.showModal();
  }

  pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || !this.active.checked) return;
    const path = event.composedPath();
    const target = path[0];
    const { among } = this.player.data;
    if (among && !path.includes(this.player.root)) return; // of several, the one in focus
    if (!among && path.some((one) => one.matches?.(".aside"))) return; // meant for a player beside this one
    if (!(target instanceof Element) || target.matches(TYPING)) return;
    if (this.dialog.open) {
      if (event.key !== "?") return;
      this.dialog.close();
    } else if (!this.act(event, target)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }

  // Does what the key asks for; whether it asked for anything.
  act(event, target) {
    const { player } = this;
    const inRow = Boolean(target.closest("[role=radiogroup]"));
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (key === player.data.pair) {
      player.toggle();
      return true;
    }
    if (!this.inFront) return false;
    if (player.data.pair && (key === "1" || key === "2")) return this.choose("choice", Number(key) - 1);
    if (key === " " && !target.matches(PRESSED)) player.toggle();
    else if (key === "k") player.toggle();
    else if (key === "l") player.turn();
    else if (key === "?") this.open();
    else if (key.startsWith("Arrow")) {
      if (inRow || target === player.volume.slider) return false;
      const far = event.shiftKey ? SEEK_FAR : SEEK;
      if (key === "ArrowLeft") player.jump(-far);
      else if (key === "ArrowRight") player.jump(far);
      else player.volume.set(player.audio.volume + (key === "ArrowUp" ? LOUDER : -LOUDER));
    } else if (/^[0-9]$/.test(key)) return this.choose("musicality", Number(key));
    else if (key === "x") return this.choose("musicality", 10);
    else if (key === "r") return this.choose("verdict", 0) || true;
    else if (key === "f") return this.choose("verdict", 1);
    else return false;
    return true;
  }

  // Presses the choice of that number; whether this page asks it and it is open.
  choose(question, number) {
    if (!this.asked.includes(question)) return false;
    const choices = document.querySelectorAll(`.st-key-ask-${question} [role=radio]`);
    if (!choices[number] || choices[number].disabled) return false;
    choices[number].click();
    return true;
  }
}
