// A recording that the listener chooses goes straight to the server, outside of Streamlit's socket, which is
// made for short messages. What is saved is what the server says: the page runs again and tells it.

const places = new WeakMap();

export default function ({ data, parentElement: root, setStateValue }) {
  const [label, input, state, withdraw] = ["label", "input", ".state", ".withdraw"].map((one) => root.querySelector(one));
  let place = places.get(input);
  if (!place) {
    place = { request: null, why: "" };
    places.set(input, place);
    input.addEventListener("change", () => input.files.length && send(input.files[0]));
    withdraw.addEventListener("click", () => ask("DELETE", null));
  }
  place.data = data;
  place.set = setStateValue;
  label.textContent = data.label;
  withdraw.textContent = data.words.withdraw;
  show();

  function show() {
    const { saved, words, disabled } = place.data;
    const busy = place.request !== null;
    input.disabled = Boolean(disabled) || busy;
    withdraw.hidden = !saved;
    withdraw.disabled = busy;
    if (busy) return;
    if (place.why) state.textContent = words[place.why] || words.failed;
    else state.textContent = saved ? words.saved.replace("{name}", saved) : words.none;
  }

  function send(file) {
    place.why = file.size > place.data.most ? "too_large" : "";
    if (place.why) return show();
    ask("POST", file);
  }

  function ask(method, file) {
    const request = new XMLHttpRequest();
    place.request = request;
    place.why = "";
    request.open(method, place.data.address);
    request.setRequestHeader("x-name", encodeURIComponent(file ? file.name.slice(-100) : ""));
    const told = () => place.data.words;
    state.textContent = file ? told().sending.replace("{percent}", "0") : "";
    request.upload.onprogress = (event) => {
      const percent = Math.floor((100 * event.loaded) / Math.max(1, event.total));
      state.textContent = percent < 100 ? told().sending.replace("{percent}", percent) : told().checking;
    };
    request.onloadend = () => {
      place.request = null;
      input.value = "";
      let answer = { why: "failed" };
      try {
        answer = JSON.parse(request.responseText);
      } catch {
        // Nothing came, or something else than our answer.
      }
      place.why = request.status === 200 ? "" : answer.why || "failed";
      if (request.status === 200) place.set("changed", `${Date.now()}`);
      show();
    };
    request.send(file);
    show();
  }
}
