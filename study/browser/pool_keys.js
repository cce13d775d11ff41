// Keys of the pool. One clip is the current one; a pick by key shows at once, is sent, and is sent again until
// a run of the page has confirmed it. In a text, a list or a player keys keep their own meaning.

const TYPING = "textarea, select, [contenteditable], input:not([type=checkbox], [type=radio])";
const PRESSED = "button, a, summary, audio, [role=radio], [role=switch], input";
const AGAIN = 500; // ms until what no run has confirmed is sent again
const TRIES = 5;
const pool = {
  load: Math.random().toString(36).slice(2),
  number: 0, // of the last press
  presses: [], // that no run has confirmed yet
  clips: [],
  now: "", // name of the current clip
  run: 0,
};
const look = document.head.appendChild(document.createElement("style"));
window.addEventListener("keydown", pressed, true); // before Streamlit, where R runs the page
document.addEventListener("focusin", (event) => point(event.target));
document.addEventListener("pointerdown", (event) => point(event.target));

export default function ({ data, parentElement: root, setStateValue }) {
  Object.assign(pool, { root, set: setStateValue, out: data.out, pages: data.pages });
  pool.active = root.querySelector("input");
  pool.word = root.querySelector(".word");
  root.querySelector(".turning").hidden = data.pages < 2;
  if (data.run === pool.run) return;
  pool.run = data.run;
  if (data.done.load === pool.load) {
    const left = pool.presses.filter((press) => press.number > data.done.number);
    if (left.length < pool.presses.length) pool.tries = 0;
    pool.presses = left;
  }
  const turned = pool.page !== undefined && pool.page !== data.page;
  const place = pool.clips.findIndex((clip) => clip.name === pool.now);
  pool.page = data.page;
  pool.clips = data.clips.map((clip) => ({ ...clip }));
  for (const { clip, pick } of pool.presses) {
    const mine = pool.clips.find((one) => one.name === clip);
    if (mine) mine.pick = pick;
  }
  if (!pool.clips.some((clip) => clip.name === pool.now)) {
    const near = pool.clips[turned ? (pool.back ? pool.clips.length - 1 : 0) : Math.max(0, place)];
    pool.now = (near || pool.clips[pool.clips.length - 1] || { name: "" }).name;
    if (turned) lead(40, pool.play);
    pool.play = pool.back = false;
  }
  show();
  clearTimeout(pool.timer);
  if (pool.presses.length && (pool.tries = (pool.tries || 0) + 1) < TRIES) pool.timer = setTimeout(send, AGAIN);
}

const facts = (name) => document.querySelector(`.pool-clip[data-clip="${CSS.escape(name)}"]`);
const sound = (name) => facts(name)?.querySelector("audio");
const current = () => pool.clips.find((clip) => clip.name === pool.now);

function send() {
  pool.set("sent", { load: pool.load, tries: pool.tries, presses: pool.presses });
}

function press(clip, pick, page) {
  pool.number += 1;
  pool.presses.push({ number: pool.number, clip, pick, page });
  pool.tries = 0;
  send();
}

// The clip that the hand is at becomes the current one.
function point(target) {
  const name = target.closest?.('[class*="st-key-clip-"]')?.querySelector(".pool-clip")?.dataset.clip;
  if (name && name !== pool.now) {
    pool.now = name;
    show();
  }
}

// The cards are drawn anew by Streamlit as it likes: their look is a rule, not a mark on them.
function show() {
  const rule = (name, style) =>
    `[class*="st-key-clip-"]:has(> * .pool-clip[data-clip="${CSS.escape(name)}"]) { ${style} }`;
  const primary = "var(--room-primary)";
  look.textContent = pool.clips
    .filter((clip) => clip.name !== pool.now && clip.pick)
    .map(({ name, pick }) =>
      rule(name, pick === pool.out ? "opacity: 0.6" : `box-shadow: inset 0.4rem 0 0 ${primary}`),
    )
    .concat(pool.now ? [rule(pool.now, `outline: 3px solid ${primary}; outline-offset: -1px`)] : [])
    .join("\n");
}

// Leads eye and focus to the current clip, which a page just turned to may have yet to draw.
function lead(tries, play) {
  const place = facts(pool.now);
  if (!place) {
    if (tries) setTimeout(() => lead(tries - 1, play), 50);
    return;
  }
  place.tabIndex = -1;
  place.focus({ preventScroll: true });
  place.closest('[class*="st-key-clip-"]').scrollIntoView({ block: "nearest" });
  if (play) sound(pool.now)?.play().catch(() => {});
}

// To the next clip or the one before, over the page's end too; a player that runs hands over.
function step(by) {
  const next = pool.clips[pool.clips.findIndex((clip) => clip.name === pool.now) + by];
  const old = sound(pool.now);
  const plays = Boolean(old && !old.paused);
  if (!next) return turn(by, plays);
  old?.pause();
  pool.now = next.name;
  show();
  lead(0, plays);
}

function turn(by, plays = false) {
  const page = pool.page + by;
  if (page < 1 || page > pool.pages) return;
  document.querySelectorAll(".pool-clip audio").forEach((one) => one.pause());
  pool.play = plays;
  pool.back = by < 0;
  press("", "", page);
}

function pick(way) {
  const clip = current();
  if (!clip) return;
  if (clip.fixed) {
    pool.word.textContent = `${clip.name} stays as it is: ${clip.fixed}`;
    return;
  }
  if (way === "keep") {
    // Again on a clip that is kept: into the next of the sets that may have it.
    way = clip.sets[(clip.sets.indexOf(clip.pick) + 1) % clip.sets.length];
    if (way === undefined) {
      pool.word.textContent = `${clip.name} fits no set`;
      return;
    }
  }
  const words = { "": "is left to the build", [pool.out]: "is left out" };
  pool.word.textContent = `${clip.name} ${words[way] || `is kept in ${way}`}`;
  if (way !== clip.pick) {
    clip.pick = way;
    press(clip.name, way, 0);
  }
  show();
  if (way) step(1);
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const target = event.composedPath()[0];
  if (!pool.root?.isConnected && !pool.root?.host?.isConnected) return;
  if (!pool.active.checked || !(target instanceof Element) || target.matches(TYPING)) return;
  if (target.closest("[role=listbox], [role=dialog], [data-testid=stDataFrame]")) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const list = target.closest("audio, [role=radiogroup]");
  if (key === "j" || (key === "ArrowDown" && !list)) step(1);
  else if (key === "ArrowUp" && !list) step(-1);
  else if (key === "k") pick("keep");
  else if (key === "x") pick(pool.out);
  else if (key === "u") pick("");
  else if (key === "n") turn(1);
  else if (key === "p") turn(-1);
  else if (key === " " && !target.matches(PRESSED)) {
    const one = sound(pool.now);
    if (one?.paused) one.play().catch(() => {});
    else one?.pause();
  } else return;
  event.preventDefault();
  event.stopImmediatePropagation();
}
