// The moment of a clip that is meant: typed in seconds, or taken from where the player is. A number that is
// outside of the clip stays on the page, with what is wrong beneath it, and is not sent.

const fields = new WeakMap();
let count = 0;

const clock = (seconds) => {
  const whole = Math.floor(seconds || 0);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
};
const here = () => Math.floor(10 * (document.studySeconds || 0)) / 10;

export default function ({ data, parentElement: root, setStateValue }) {
  const input = root.querySelector("input");
  let field = fields.get(input);
  if (!field) {
    field = begin(root, input, data);
    fields.set(input, field);
  }
  field.set = setStateValue;
  field.data = data;
  root.querySelector("label").textContent = data.label;
  input.max = data.longest;
  for (const one of root.querySelectorAll("input, button")) one.disabled = Boolean(data.disabled);
  root.querySelector(".moment").classList.toggle("off", Boolean(data.disabled));
  root.querySelector(".clear").textContent = data.words.clear;
  field.paint();
}

function begin(root, input, data) {
  const field = { sent: data.saved === null ? "" : String(data.saved) };
  const mark = root.querySelector(".mark");
  const take = root.querySelector(".here");
  const clear = root.querySelector(".clear");
  count += 1;
  input.id = `moment-${count}`;
  root.querySelector("label").htmlFor = input.id;
  mark.id = `${input.id}-mark`;
  input.setAttribute("aria-describedby", mark.id);
  input.value = field.sent;
  field.send = () => {
    field.paint();
    if (!input.validity.valid || input.value === field.sent) return;
    field.sent = input.value;
    field.set("moment", { at: input.value === "" ? null : Number(input.value) });
  };
  field.paint = () => {
    const { words, longest } = field.data;
    const odd = input.validity.badInput || input.validity.rangeUnderflow || input.validity.rangeOverflow;
    input.setAttribute("aria-invalid", String(odd));
    mark.textContent = odd ? words.range.replace("{longest}", longest.toLocaleString(document.documentElement.lang || "en")) : "";
    take.textContent = words.here.replace("{time}", clock(here()));
    clear.hidden = input.value === "" && !input.validity.badInput;
  };
  input.addEventListener("input", () => field.paint());
  input.addEventListener("change", () => field.send());
  take.addEventListener("click", () => {
    input.value = String(here());
    field.send();
  });
  clear.addEventListener("click", () => {
    input.value = "";
    field.send();
    input.focus();
  });
  // Next takes along what is typed, also where it is pressed without leaving the field.
  document.addEventListener("study:press", function press() {
    if (input.isConnected) field.send();
    else document.removeEventListener("study:press", press);
  });
  document.addEventListener("study:position", function follow() {
    if (input.isConnected) field.paint();
    else document.removeEventListener("study:position", follow);
  });
  return field;
}
