// A completion code and a button that copies it. Where the browser forbids the clipboard, as in a frame, the
// code is selected, so that the keyboard or a long press copies it.

export default function ({ data, parentElement: root }) {
  const code = root.querySelector(".code");
  const mark = root.querySelector(".mark");
  const button = root.querySelector(".copy");
  root.querySelector(".name").textContent = data.words.code;
  code.textContent = data.code;
  button.textContent = data.words.copy;
  button.onclick = async () => {
    mark.textContent = "";
    let copied = false;
    try {
      await navigator.clipboard.writeText(data.code);
      copied = true;
    } catch {
      getSelection().selectAllChildren(code);
      copied = document.execCommand("copy");
    }
    mark.textContent = copied ? data.words.copied : "";
  };
}
