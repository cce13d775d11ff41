// The blind player. It knows a clip by a play key only, and opens the gate when all of the clip was heard:
// jumping ahead and letting the clip end opens nothing. Which stretches were heard is what the browser's own
// `HTMLMediaElement.played` tells, together with those of an earlier visit.
//
// What it draws, loops and listens to on the keyboard is in player_wave.js, player_loop.js and player_keys.js,
// which study.pages.components puts before this file. Nothing is drawn of what was not heard yet.
//
// Streamlit calls the default export when the component mounts and whenever its `data` changes, and may run
// the cleanup of an old mount after the new one: so one Player per root, found again by a WeakMap.

const players = new WeakMap();
const TOLERANCE = 0.25; // s that may be missing at the very end; at most a tenth of the clip
const RETRIES = 8;

const round = (seconds) => Math.round(seconds * 100) / 100;

// Stretches [from, to] merged where they touch, so that no second counts twice.
function merged(spans) {
  const sorted = spans.map((span) => [span[0], span[1]]).sort((a, b) => a[0] - b[0]);
  const out = [];
  for (const [from, to] of sorted) {
    const last = out[out.length - 1];
    if (last && from <= last[1] + 0.05) last[1] = Math.max(last[1], to);
    else out.push([from, to]);
  }
  return out;
}

const length = (spans) => spans.reduce((sum, [from, to]) => sum + to - from, 0);

class Player {
  constructor(root, data, setState) {
    const find = (name) => root.querySelector(`.${name}`);
    this.root = root;
    this.frameOf = find("player");
    this.button = find("play");
    this.again = find("again");
    this.seek = find("seek");
    this.track = find("track");
    this.time = find("time");
    this.note = find("note");
    this.clip = data.clip;
    this.before = data.resume || {};
    this.plays = this.before.plays || 0;
    this.played = this.before.played || 0;
    this.earlier = this.before.spans || []; // stretches heard before this player loaded the clip
    this.unlocked = Boolean(this.before.unlocked);
    this.from = 0; // where the sound began last, or will begin
    this.jumping = false; // to where this player has put the position
    this.tries = 0;
    this.trouble = "";
    this.undo = [];
    this.audio = new Audio();
    this.audio.preload = data.among ? "metadata" : "auto";
    this.wave = new Wave(find("wave"));
    this.loop = new Loop(find("loop"), find("passage"));
    this.volume = new Volume(find("volume"), this.audio);
    this.keys = new Keys(this, find("keys"), find("help"));
    this.update(data, setState);
    this.listen();
    this.audio.src = data.src;
    if (this.earlier.length) this.load();
    this.paint();
  }

  update(data, setState) {
    this.data = data;
    this.setState = setState;
    const { words } = data;
    this.frameOf.setAttribute("aria-label", words.name);
    this.frameOf.classList.toggle("aside", Boolean(data.aside));
    this.seek.setAttribute("aria-label", words.seek);
    this.again.setAttribute("aria-label", words.again);
    this.again.title = words.again;
    this.volume.name(words.volume);
    this.keys.write(data);
  }

  on(target, type, action) {
    target.addEventListener(type, action);
    this.undo.push(() => target.removeEventListener(type, action));
  }

  listen() {
    const { audio, seek } = this;
    this.on(this.button, "click", () => this.toggle());
    this.on(this.again, "click", () => {
      this.move(0);
      if (audio.paused) this.start();
      else this.plays += 1;
    });
    this.on(this.loop.button, "click", () => this.turn());
    this.on(this.volume.slider, "input", () => this.volume.set(this.volume.slider.value / 100));
    this.keys.listen((...what) => this.on(...what));
    // Other tabs fall silent when this one sounds.
    this.others = new BroadcastChannel("player");
    this.others.onmessage = () => audio.pause();
    this.undo.push(() => this.others.close());
    this.on(audio, "play", () => {
      this.others.postMessage("play");
      if (this.data.pair) soundedLast = this;
      this.load();
      if (this.from < 0.3) this.plays += 1;
      this.report("play");
      this.frame();
    });
    this.on(audio, "timeupdate", () => this.advance());
    this.on(audio, "seeking", () => {
      if (!this.jumping) this.from = audio.currentTime; // by the browser's own media keys
    });
    this.on(audio, "seeked", () => (this.jumping = false));
    this.on(audio, "pause", () => {
      this.advance();
      this.count();
      if (!audio.ended) this.send("pause");
    });
    this.on(audio, "ended", () => {
      this.count();
      this.check();
      this.send("ended");
      this.paint();
      this.warm();
      if (this.loop.on) this.start(); // from its beginning, see advance
    });
    this.on(audio, "loadedmetadata", () => this.paint());
    this.on(audio, "canplay", () => {
      if (!this.trouble) return;
      this.trouble = "";
      this.tries = 0;
      this.paint();
    });
    this.on(audio, "error", () => this.retry());
    this.on(seek, "input", () => {
      this.dragging = true;
      if (audio.duration) this.move((audio.duration * seek.value) / 1000);
      this.loop.leave(audio.currentTime);
      this.paint();
    });
    this.on(seek, "change", () => {
      this.dragging = false;
      this.report("seek");
    });
    this.on(window, "pagehide", () => this.report("leave"));
  }

  toggle() {
    if (this.audio.paused) this.start();
    else this.audio.pause();
  }

  // By so many seconds, within the clip.
  jump(seconds) {
    const { audio } = this;
    if (!audio.duration) return;
    this.move(Math.min(Math.max(0, audio.currentTime + seconds), Math.max(0, audio.duration - 0.01)));
    this.loop.leave(audio.currentTime);
    this.report("seek");
    this.paint();
  }

  // The loop's one button: from here, to here, off.
  turn() {
    if (!this.audio.duration) return;
    this.loop.turn(this.audio.currentTime, this.audio.duration);
    this.paint();
  }

  start() {
    if (this.audio.ended) this.move(this.loop.on ? this.loop.from : 0);
    this.audio.play().catch((error) => {
      if (error.name === "AbortError") return;
      this.trouble = this.data.words.blocked;
      this.report("blocked");
      this.paint();
    });
  }

  // The picture, drawn as soon as it is there: nothing else may happen for long.
  load() {
    if (this.data.flat) return; // the picture would give away what is to be heard
    this.wave.load(this.data).then(() => this.gone || this.paint());
  }

  advance() {
    const at = this.audio.currentTime;
    this.check();
    if (this.loop.on && at >= this.loop.to && !this.audio.paused) this.move(this.loop.from);
    this.paint();
  }

  // Puts the position elsewhere; the sound goes on there if it was on.
  move(to) {
    this.count();
    this.jumping = true;
    this.audio.currentTime = to;
    this.from = to;
  }

  // Adds what has sounded since the last pause or jump to all that was played, replays included.
  count() {
    this.played = this.playedSoFar();
    this.from = this.audio.currentTime;
  }

  playedSoFar() {
    return this.played + Math.max(0, this.audio.currentTime - this.from);
  }

  // The stretches heard, each second once.
  heard() {
    const { played } = this.audio;
    const now = Array.from({ length: played.length }, (_, index) => [played.start(index), played.end(index)]);
    return merged([...this.earlier, ...now]);
  }

  check() {
    const whole = this.audio.duration;
    if (this.unlocked || !whole) return;
    if (length(this.heard()) < whole - Math.min(TOLERANCE, whole / 10)) return;
    this.unlocked = true;
    this.send("unlocked");
    this.paint();
  }

  // Moves the marker smoothly while sound plays; `timeupdate` alone comes four times a second.
  frame() {
    cancelAnimationFrame(this.tick);
    const step = () => {
      this.advance();
      if (!this.audio.paused && !this.gone) this.tick = requestAnimationFrame(step);
    };
    this.tick = requestAnimationFrame(step);
  }

  snapshot(why) {
    const spans = this.heard();
    return {
      clip: this.clip,
      why,
      plays: this.plays,
      played: round(Math.max(this.playedSoFar(), length(spans))),
      heard: round(length(spans)),
      spans: spans.map(([from, to]) => [round(from), round(to)]),
      position: round(this.audio.currentTime),
      unlocked: this.unlocked,
    };
  }

  // To the server at once, without a run of the page; it gets through where the socket is down.
  report(why) {
    if (!this.data.beacon) return;
    const body = new Blob([JSON.stringify(this.snapshot(why))], { type: "application/json" });
    navigator.sendBeacon(this.data.beacon, body);
  }

  // To the page, which saves it.
  send(why) {
    this.report(why);
    this.setState("status", this.snapshot(why));
  }

  retry() {
    if (this.gone || !this.audio.getAttribute("src")) return;
    this.count();
    this.earlier = this.heard(); // loading anew begins to count anew
    const { audio } = this;
    const at = audio.currentTime;
    const wasPlaying = !audio.paused;
    this.trouble = this.data.words.retrying;
    if (this.tries === 0) this.report("error");
    if (this.tries >= RETRIES) {
      this.trouble = this.data.words.failed;
      this.send("error");
    } else {
      this.tries += 1;
      setTimeout(() => {
        if (this.gone) return;
        audio.src = this.data.src;
        audio.load();
        this.move(at);
        if (wasPlaying) this.start();
      }, Math.min(8000, 400 * 2 ** this.tries));
    }
    this.paint();
  }

  // Asks for the next clip while this one is being judged.
  warm() {
    if (!this.data.next || this.warmed) return;
    this.warmed = new Audio();
    this.warmed.preload = "auto";
    this.warmed.src = this.data.next;
  }

  paint() {
    const { audio, seek, data } = this;
    const whole = audio.duration || 0;
    const at = audio.currentTime;
    const playing = !audio.paused && !audio.ended;
    this.time.textContent = `${clock(at)} / ${clock(whole)}`;
    if (whole && !this.dragging) seek.value = String(Math.round((1000 * at) / whole));
    seek.setAttribute("aria-valuetext", `${clock(at)} / ${clock(whole)}`);
    this.track.style.setProperty("--at", whole ? `${(100 * at) / whole}%` : "0%");
    this.wave.draw(this.heard(), at, whole);
    this.loop.paint(data.words, whole);
    if (!data.aside) announcePosition(at);
    this.button.classList.toggle("on", playing);
    this.button.setAttribute("aria-label", playing ? data.words.pause : data.words.play);
    const { words } = data;
    const note = this.trouble || this.loop.note(words) || (this.unlocked ? words.opened : words.closed);
    if (this.note.textContent !== note) this.note.textContent = note;
    this.note.classList.toggle("trouble", Boolean(this.trouble));
  }

  dispose() {
    if (this.gone) return;
    this.report("leave");
    this.gone = true;
    everyKeys.delete(this.keys);
    cancelAnimationFrame(this.tick);
    this.undo.forEach((undo) => undo());
    this.wave.gone = true;
    this.audio.pause();
    this.audio.removeAttribute("src");
    this.audio.load();
    if (players.get(this.root) === this) players.delete(this.root);
  }
}

export default function ({ data, parentElement: root, setStateValue }) {
  let player = players.get(root);
  if (player && player.clip === data.clip) {
    player.update(data, setStateValue);
    player.paint();
  } else {
    if (player) player.dispose();
    player = new Player(root, data, setStateValue);
    players.set(root, player);
    // Streamlit keeps the scroll position of the clip before, and the focus would fall back to the page.
    if (!data.among) document.querySelector('[data-testid="stMain"]')?.scrollTo({ top: 0 });
    if (data.focus) player.button.focus({ preventScroll: true });
  }
  return () => player.dispose();
}
