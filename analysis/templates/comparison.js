"use strict";
// One clip plays at a time; the cursor over its pictures follows it, and a click on a picture seeks.
(() => {
  const page = document.documentElement;
  const all = (selector) => [...document.querySelectorAll(selector)];
  const longest = Number(document.body.dataset.seconds);
  const sounds = all("audio");
  const picks = all(".pick button");
  const play = document.querySelector(".play");
  const slider = document.querySelector(".seek input");
  const clock = document.querySelector(".seek output");
  const parts = sounds.map((_, clip) => all(`[data-clip="${clip}"]`));
  let now = 0;

  const text = (seconds) => `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(1).padStart(4, "0")}`;
  const length = (sound) => Number(sound.dataset.seconds);

  function show() {
    const sound = sounds[now];
    const at = sound.currentTime;
    parts[now].forEach((part) => part.style.setProperty("--at", at / longest));
    slider.value = at;
    slider.setAttribute("aria-valuetext", `${at.toFixed(1)} seconds of ${picks[now].dataset.label}`);
    clock.textContent = `${text(at)} / ${text(length(sound))}`;
    if (!sound.paused) requestAnimationFrame(show);
  }

  function choose(clip) {
    now = clip;
    parts.forEach((own, other) => own.forEach((part) => part.classList.toggle("now", other === clip)));
    picks.forEach((pick, other) => pick.setAttribute("aria-pressed", String(other === clip)));
    slider.max = length(sounds[clip]);
    name();
    show();
  }

  function name() {
    play.textContent = sounds[now].paused ? "▶ Play" : "❚❚ Pause";
  }

  function seek(clip, seconds) {
    page.classList.add("started");
    sounds[clip].currentTime = Math.max(0, Math.min(seconds, length(sounds[clip]) - 0.01));
    show();
  }

  function start(clip) {
    choose(clip);
    sounds[clip].play().catch(() => {});
  }

  function swap(clip) {
    if (clip === now) return toggle();
    const { currentTime, paused } = sounds[now];
    sounds[now].pause();
    choose(clip);
    seek(clip, currentTime);
    if (!paused) start(clip);
  }

  function toggle() {
    if (sounds[now].paused) start(now);
    else sounds[now].pause();
  }

  sounds.forEach((sound, clip) => {
    sound.addEventListener("play", () => {
      sounds.forEach((other) => other !== sound && other.pause());
      page.classList.add("started");
      choose(clip);
    });
    sound.addEventListener("pause", () => clip === now && (name(), show()));
    sound.addEventListener("seeked", () => clip === now && show());
  });
  picks.forEach((pick, clip) => pick.addEventListener("click", () => swap(clip)));
  play.addEventListener("click", toggle);
  slider.addEventListener("input", () => seek(now, Number(slider.value)));
  all(".plot").forEach((plot) =>
    plot.addEventListener("click", (event) => {
      const box = plot.getBoundingClientRect();
      const clip = Number(plot.closest("[data-clip]").dataset.clip);
      seek(clip, ((event.clientX - box.left) / box.width) * longest);
      start(clip);
    }),
  );
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, audio")) return;
    const step = event.shiftKey ? 5 : 1;
    const digit = Number(event.key);
    if (event.key === " " && !event.target.closest("button, a")) toggle();
    else if (event.key === "ArrowLeft") seek(now, sounds[now].currentTime - step);
    else if (event.key === "ArrowRight") seek(now, sounds[now].currentTime + step);
    else if (event.key === "Home") seek(now, 0);
    else if (digit >= 1 && digit <= sounds.length) swap(digit - 1);
    else return;
    event.preventDefault();
  });
  choose(0);
})();
