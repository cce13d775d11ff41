// A text box that saves while one types: after a short rest and on leaving it. What is typed is kept in the
// tab's own storage too, so it outlives a lost connection or a reload; `data.saved` is what the server has.

const REST = 800; // ms without a key before the text is sent
const RESENDS = 3; // how often the same text is sent anew when the server does not show it
const boxes = new WeakMap();
let count = 0;

export default function ({ data, parentElement: root, setStateValue }) {
  const area = root.querySelector("textarea");
  const label = root.querySelector("label");
  const mark = root.querySelector(".mark");
  const store = `text:${data.box}`;
  let box = boxes.get(area);
  if (!box) {
    box = { timer: null, sent: data.saved || "", resends: 0 };
    boxes.set(area, box);
    count += 1;
    area.id = `saved-text-${count}`;
    label.htmlFor = area.id;
    area.value = readStored(store) ?? box.sent;
    box.send = () => {
      clearTimeout(box.timer);
      box.timer = null;
      if (area.value === box.sent) return;
      box.sent = area.value;
      box.set("text", area.value);
    };
    area.addEventListener("input", () => {
      writeStored(store, area.value);
      mark.textContent = box.words.saving;
      box.resends = 0;
      clearTimeout(box.timer);
      box.timer = setTimeout(box.send, REST);
    });
    area.addEventListener("blur", () => box.send());
    // Next takes along what is typed, also where it is pressed without leaving the box.
    document.addEventListener("study:press", function press() {
      if (area.isConnected) box.send();
      else document.removeEventListener("study:press", press);
    });
    box.pin = root.querySelector(".pin");
    box.pin.addEventListener("click", () => pin(area));
    // The player says where it is; a box that has left the page no longer listens.
    document.addEventListener("study:position", function follow() {
      if (area.isConnected) labelPin(box);
      else document.removeEventListener("study:position", follow);
    });
    if (area.value !== box.sent) box.timer = setTimeout(box.send, 50);
  }
  box.set = setStateValue;
  box.words = data.words;
  label.textContent = data.label;
  area.rows = data.rows;
  area.maxLength = data.longest;
  area.disabled = Boolean(data.disabled);
  box.pin.hidden = !data.pin;
  box.pin.disabled = area.disabled;
  box.pin.title = data.words.pin_title;
  labelPin(box);
  root.querySelector(".box").classList.toggle("pinned", Boolean(data.pin));
  root.querySelector(".box").classList.toggle("off", Boolean(data.disabled));
  const saved = data.saved || "";
  if (saved === area.value.trim()) {
    mark.textContent = saved ? data.words.saved : "";
    writeStored(store, null);
  } else if (box.timer === null && !data.disabled && box.resends < RESENDS) {
    // The server answered and does not have it: a message got lost, so send it once more.
    box.timer = setTimeout(() => {
      box.resends += 1;
      box.sent = null;
      box.send();
    }, REST / 2);
  }
}

const here = () => document.body.dataset.position || "0:00";

function labelPin(box) {
  box.pin.querySelector("span").textContent = box.words.pin.replace("{time}", here());
}

// Puts the place in the clip where the cursor is, as "[0:07] ".
function pin(area) {
  const [from, to] = [area.selectionStart, area.selectionEnd];
  const gap = from > 0 && !/\s$/.test(area.value.slice(0, from)) ? " " : "";
  const text = `${gap}[${here()}] `;
  if (area.value.length - (to - from) + text.length > area.maxLength) return;
  area.setRangeText(text, from, to, "end");
  area.dispatchEvent(new Event("input", { bubbles: true }));
  area.focus();
}

function readStored(name) {
  try {
    return sessionStorage.getItem(name);
  } catch {
    return null;
  }
}

function writeStored(name, text) {
  try {
    if (text === null) sessionStorage.removeItem(name);
    else sessionStorage.setItem(name, text);
  } catch {
    // Without storage the text still lives on the page.
  }
}
