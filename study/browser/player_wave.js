// What was heard of a clip, as a picture: the browser decodes the clip once it has been played, and shows the
// shape of the heard stretches alone. What was not heard is one flat line, the same for every clip.

const BARS = 120;
const EDGE = 0.1; // s; the first and the last bar count as heard although a moment of them is missing
const USUAL = 0.55; // height of a stretch as loud as the clips are on the whole
const FLAT = 0.06; // height of what was not heard, of the whole

const clock = (seconds) => {
  const whole = Math.max(0, Math.floor((seconds || 0) + 0.05));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
};

// For the boxes that pin a text to a place in the clip, and for the field of a moment.
function announcePosition(seconds) {
  document.studySeconds = seconds;
  const text = clock(seconds);
  if (document.body.dataset.position === text) return;
  document.body.dataset.position = text;
  document.dispatchEvent(new CustomEvent("study:position"));
}

class Wave {
  constructor(canvas) {
    this.canvas = canvas;
    this.levels = null;
    this.drawn = "";
  }

  async load({ src, level }) {
    if (this.asked) return;
    this.asked = true;
    try {
      const answer = await fetch(src, { credentials: "same-origin" });
      if (!answer.ok) throw new Error(answer.status);
      const context = new OfflineAudioContext(1, 1, 22050);
      this.levels = levelsOf(await context.decodeAudioData(await answer.arrayBuffer()), level);
    } catch {
      this.asked = false; // the next play asks again; until then the picture stays flat
    }
  }

  // spans: stretches heard; at: the position; whole: the clip's length; all in seconds.
  draw(spans, at, whole) {
    const { canvas } = this;
    const width = canvas.clientWidth;
    const height = canvas.clientHeight;
    const dense = window.devicePixelRatio || 1;
    const style = getComputedStyle(canvas);
    const heard = new Array(BARS).fill(false);
    for (const [from, to] of whole ? spans : []) {
      const first = from < EDGE ? 0 : Math.ceil((from / whole) * BARS);
      const end = to > whole - EDGE ? BARS : Math.floor((to / whole) * BARS);
      heard.fill(true, first, Math.max(first, end));
    }
    const now = whole ? Math.floor((at / whole) * BARS) : 0;
    const state = [width, height, dense, now, style.color, Boolean(this.levels), heard.map(Number).join("")].join();
    if (state === this.drawn || !width) return;
    this.drawn = state;
    canvas.width = width * dense;
    canvas.height = height * dense;
    const pen = canvas.getContext("2d");
    pen.scale(dense, dense);
    const step = width / BARS;
    for (let bar = 0; bar < BARS; bar += 1) {
      const shape = heard[bar] ? (this.levels?.[bar] ?? 0) : 0;
      const tall = Math.max(FLAT, shape) * height;
      pen.fillStyle = heard[bar] ? style.color : style.borderColor;
      pen.globalAlpha = heard[bar] && bar >= now ? 0.55 : 1;
      pen.fillRect(bar * step, (height - tall) / 2, Math.max(1, step * 0.68), tall);
    }
  }
}

// How loud each of BARS stretches is, against the loudness that all clips share: no bar depends on another.
// No stretch is loud enough to reach the top, so that loud ones keep their shape as well.
function levelsOf(sound, level) {
  const power = new Array(BARS).fill(0);
  for (let channel = 0; channel < sound.numberOfChannels; channel += 1) {
    const samples = sound.getChannelData(channel);
    for (let index = 0; index < samples.length; index += 1) {
      const bar = Math.min(BARS - 1, Math.floor((index / samples.length) * BARS));
      power[bar] += samples[index] ** 2;
    }
  }
  const count = (sound.length * sound.numberOfChannels) / BARS;
  return power.map((sum) => {
    const loud = (Math.sqrt(sum / count) / level) ** 1.5;
    return loud / (loud + 1 / USUAL - 1);
  });
}
