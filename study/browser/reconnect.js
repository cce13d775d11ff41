// Says when the connection is lost, and asks for one run of the page when it is back: Streamlit reconnects by
// itself but does not run the page, so what was pressed meanwhile would wait for the next press. With
// `data.again` it asks for one run after so many seconds: what a page shows that could not reach its database.

export default function ({ data, parentElement: root, setStateValue }) {
  if (data.again) {
    const wait = setTimeout(() => setStateValue("back", Date.now()), 1000 * data.again);
    return () => clearTimeout(wait);
  }
  const note = root.querySelector(".lost");
  note.textContent = data.lost;
  const app = document.querySelector('[data-testid="stApp"]');
  if (!app) return undefined;
  const state = () => app.getAttribute("data-test-connection-state");
  let last = state();
  let timer = null;
  const look = () => {
    const now = state();
    if (now === last) return;
    last = now;
    clearTimeout(timer);
    if (now === "CONNECTED") {
      note.hidden = true;
      timer = setTimeout(() => setStateValue("back", Date.now()), 150);
    } else {
      timer = setTimeout(() => (note.hidden = false), 400);
    }
  };
  const watch = new MutationObserver(look);
  watch.observe(app, { attributes: true, attributeFilter: ["data-test-connection-state"] });
  return () => {
    clearTimeout(timer);
    watch.disconnect();
  };
}
