// What was heard of a clip, as a picture: the browser decodes the clip once it has been played, and shows the
// shape of the heard stretches alone. What was not heard is one flat line, the same for every clip.

const BARS = 120;
const FLAT = 0.06; // height of what was not heard, of the whole

const clock = (seconds) => {
  const whole = Math.max(0, Math.floor((seconds || 0) + 0.05));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
};

// For the boxes that pin a text to a place in the clip.
function tellPosition(seconds) {
  const text = clock(seconds);
  if (document.body.dataset.position === text) return;
  document.body.dataset.position = text;
  document.dispatchEvent(new CustomEvent("study:position"));
}

class Wave {
  constructor(canvas) {
    this.canvas = canvas;
    this.peaks = null;
    this.drawn = "";
  }

  async load(src) {
    if (this.asked) return;
    this.asked = true;
    try {
      const answer = await fetch(src, { credentials: "same-origin" });
      if (!answer.ok) throw new Error(answer.status);
      const context = new OfflineAudioContext(1, 1, 22050);
      this.peaks = peaksOf(await context.decodeAudioData(await answer.arrayBuffer()));
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
      const last = Math.floor((to / whole) * BARS + 1e-6);
      for (let bar = Math.ceil((from / whole) * BARS - 1e-6); bar < Math.min(last, BARS); bar += 1) heard[bar] = true;
    }
    const now = whole ? Math.floor((at / whole) * BARS) : 0;
    const state = [width, height, dense, now, style.color, Boolean(this.peaks), heard.map(Number).join("")].join();
    if (state === this.drawn || !width) return;
    this.drawn = state;
    canvas.width = width * dense;
    canvas.height = height * dense;
    const pen = canvas.getContext("2d");
    pen.scale(dense, dense);
    const step = width / BARS;
    for (let bar = 0; bar < BARS; bar += 1) {
      const shape = heard[bar] ? (this.peaks?.[bar] ?? 0) : 0;
      const tall = Math.max(FLAT, shape) * height;
      pen.fillStyle = heard[bar] ? style.color : style.borderColor;
      pen.globalAlpha = heard[bar] && bar >= now ? 0.55 : 1;
      pen.fillRect(bar * step, (height - tall) / 2, Math.max(1, step * 0.68), tall);
    }
  }
}

// The highest sample of each of BARS stretches, by a curve that does not depend on the rest of the clip.
function peaksOf(sound) {
  const peaks = new Array(BARS).fill(0);
  for (let channel = 0; channel < sound.numberOfChannels; channel += 1) {
    const samples = sound.getChannelData(channel);
    for (let index = 0; index < samples.length; index += 1) {
      const bar = Math.min(BARS - 1, Math.floor((index / samples.length) * BARS));
      peaks[bar] = Math.max(peaks[bar], Math.abs(samples[index]));
    }
  }
  return peaks.map((peak) => Math.min(1, peak ** 0.6));
}
