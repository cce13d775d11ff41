"use strict";
// Pins play their clip from the moment they name, one clip plays at a time, and paper gets every part open.
(() => {
  const folds = [...document.querySelectorAll("details")];
  const sounds = [...document.querySelectorAll("audio")];
  const all = document.querySelector("nav button");

  function playFrom(sound, seconds) {
    const start = () => {
      sound.currentTime = seconds;
      sound.play().catch(() => {});
    };
    if (sound.readyState > 0) return start();
    sound.addEventListener("loadedmetadata", start, { once: true });
    sound.load();
  }

  document.addEventListener("click", (event) => {
    const pin = event.target.closest("a.pin");
    const sound = pin && document.getElementById(pin.hash.slice(1));
    if (!sound) return;
    event.preventDefault();
    const fold = sound.closest("details");
    if (fold) fold.open = true;
    playFrom(sound, Number(pin.dataset.seconds));
  });

  sounds.forEach((sound) =>
    sound.addEventListener("play", () => sounds.forEach((other) => other !== sound && other.pause())),
  );

  function name() {
    all.textContent = folds.every((fold) => fold.open) ? "Close all parts" : "Open all parts";
  }
  if (all && folds.length) {
    all.hidden = false;
    all.addEventListener("click", () => {
      const open = !folds.every((fold) => fold.open);
      folds.forEach((fold) => (fold.open = open));
    });
    folds.forEach((fold) => fold.addEventListener("toggle", name));
  }

  let closed = [];
  addEventListener("beforeprint", () => {
    closed = folds.filter((fold) => !fold.open);
    closed.forEach((fold) => (fold.open = true));
  });
  addEventListener("afterprint", () => closed.forEach((fold) => (fold.open = false)));
})();
