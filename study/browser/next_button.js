// A button whose presses are state, not events: the last press is sent with every message, so an interrupted
// run or a restarted server loses none. Each press has an id of its own; the page deals with each id once.
// A press takes along all that the page shows, and from then on nothing of it may change until the page has
// run: what is final is what was to be seen at the press.

const ANSWERS = '[class*="st-key-ask-"], .st-key-keep';
let presses = 0;

// A choice that was changed is not saved before the page has run, however long the line takes: till then the
// mark "Saved" is out of sight.
const unsaved = (target) => target.closest?.(ANSWERS) && (document.body.dataset.unsaved = "");
new MutationObserver((changes) => changes.forEach((change) => unsaved(change.target))).observe(document.body, {
  subtree: true,
  attributeFilter: ["aria-checked", "aria-pressed"],
});
document.addEventListener("change", (event) => unsaved(event.target), true);

export default function ({ data, parentElement: root, setStateValue }) {
  const button = root.querySelector("button");
  button.textContent = data.label;
  button.setAttribute("aria-disabled", data.disabled ? "true" : "false");
  hold(false); // the page has run: `data.run` is new each time
  button.removeAttribute("aria-busy");
  delete document.body.dataset.unsaved;
  button.onclick = () => {
    if (data.disabled) return;
    document.dispatchEvent(new Event("study:press"));
    presses += 1;
    setStateValue("press", `${Date.now().toString(36)}-${presses}-${Math.random().toString(36).slice(2, 8)}`);
    hold(true);
    button.setAttribute("aria-busy", "true");
  };
  // What stands beneath says itself to screen readers; Streamlit sets up that place a moment later.
  setTimeout(() => document.querySelector(".st-key-mark")?.setAttribute("aria-live", "polite"), 300);
  // After a press that could not go on, `focus` names the container of the first question still open.
  if (data.focus && button.dataset.focused !== data.focus) {
    button.dataset.focused = data.focus;
    const place = document.querySelector(`.st-key-${data.focus.split("@")[0]}`);
    const inside = place?.querySelector("button, input, textarea") || findInShadow(place);
    place?.scrollIntoView({ block: "center", behavior: "smooth" });
    inside?.focus({ preventScroll: true });
  }
}

function hold(still) {
  for (const place of document.querySelectorAll(ANSWERS)) place.inert = still;
}

function findInShadow(place) {
  for (const element of place?.querySelectorAll("*") || []) {
    const inside = element.shadowRoot?.querySelector("input, textarea, button");
    if (inside) return inside;
  }
  return null;
}
