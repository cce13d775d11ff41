"use strict";
// A click on a head sorts its table by that column, another turns the order; empty cells stay last.
document.querySelectorAll("table.sorts").forEach((table) => {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  heads.forEach((head, column) =>
    head.querySelector("button").addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      const key = (row) => row.cells[column].dataset.key;
      const rows = [...body.rows];
      const numbers = rows.every((row) => key(row) === "" || !Number.isNaN(Number(key(row))));
      rows.sort((one, other) => {
        const [a, b] = [key(one), key(other)];
        if (a === "" || b === "") return (a === "") - (b === "");
        const order = numbers ? Number(a) - Number(b) : a.localeCompare(b, "en", { numeric: true });
        return down ? -order : order;
      });
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      body.append(...rows);
    }),
  );
});

// A row's link plays its recording in the one player at the foot of the page; without a script it opens it.
(() => {
  const player = document.querySelector(".player");
  const [title, sound] = player.children;
  const all = [...document.querySelectorAll("a.play")];
  let now = null;
  const show = () =>
    all.forEach((link) =>
      link === now && !sound.paused ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current"),
    );
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a.play");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    if (link === now && !sound.paused) return sound.pause();
    if (link !== now) {
      now = link;
      player.hidden = false;
      title.textContent = link.closest("th").dataset.key;
      sound.src = link.href;
    }
    sound.play().catch(() => {});
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== " " || !event.target.matches("a.play")) return;
    event.preventDefault();
    event.target.click();
  });
  for (const change of ["play", "pause", "ended"]) sound.addEventListener(change, show);
  sound.addEventListener("error", () => {
    if (now) title.textContent = `${now.closest("th").dataset.key} cannot be played: it is no longer at its place beside this page.`;
  });
})();
