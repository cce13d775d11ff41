// A passage played again and again, and how loud.

const SHORTEST_LOOP = 0.3; // s

const filled = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);

// One button with three turns: from here, to here, off.
class Loop {
  constructor(button, passage) {
    this.button = button;
    this.passage = passage;
    this.from = null;
    this.to = null;
  }

  get on() {
    return this.to !== null;
  }

  turn(at, whole) {
    if (this.from === null) {
      this.from = Math.min(at, Math.max(0, whole - SHORTEST_LOOP));
    } else if (this.to === null) {
      const [from, to] = [Math.min(this.from, at), Math.max(this.from, at)];
      this.from = Math.max(0, Math.min(from, whole - SHORTEST_LOOP));
      this.to = Math.min(whole, Math.max(to, this.from + SHORTEST_LOOP));
    } else {
      this.from = null;
      this.to = null;
    }
  }

  // Who jumps out of the passage wants to be elsewhere.
  leave(at) {
    if (this.on && (at < this.from - 0.05 || at > this.to)) this.turn();
  }

  note(words) {
    if (this.on) return filled(words.loop_on, { from: clock(this.from), to: clock(this.to) });
    return this.from === null ? "" : filled(words.loop_starts, { time: clock(this.from) });
  }

  paint(words, whole) {
    const label = this.on ? words.loop_off : this.from === null ? words.loop_from : words.loop_to;
    const text = this.button.querySelector("span");
    if (text.textContent !== label) {
      text.textContent = label;
      this.button.title = label;
    }
    this.button.classList.toggle("set", this.from !== null);
    this.passage.hidden = this.from === null || !whole;
    if (this.passage.hidden) return;
    this.passage.style.left = `${(100 * this.from) / whole}%`;
    this.passage.style.width = this.on ? `${(100 * (this.to - this.from)) / whole}%` : "2px";
  }
}

// Kept from clip to clip, as long as the tab is open.
class Volume {
  constructor(label, audio) {
    this.label = label;
    this.audio = audio;
    this.slider = label.querySelector("input");
    audio.volume = 0.5;
    label.hidden = audio.volume !== 0.5; // some phones leave the volume to their own keys
    this.set(Number(readStored("volume") ?? 1));
  }

  name(text) {
    this.slider.setAttribute("aria-label", text);
    this.label.title = text;
  }

  set(share) {
    const volume = Math.round(100 * Math.min(1, Math.max(0, Number.isFinite(share) ? share : 1))) / 100;
    this.audio.volume = volume;
    this.slider.value = String(Math.round(100 * volume));
    this.slider.style.setProperty("--share", `${Math.round(100 * volume)}%`);
    writeStored("volume", String(volume));
  }
}

function readStored(name) {
  try {
    return sessionStorage.getItem(name);
  } catch {
    return null;
  }
}

function writeStored(name, text) {
  try {
    sessionStorage.setItem(name, text);
  } catch {
    // Without storage it holds for this clip.
  }
}
