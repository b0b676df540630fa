// Search, sorting and copying. Everything can be read without this file.
"use strict";

const fold = (text) => text.toLowerCase().normalize("NFKD").replace(/\p{M}/gu, "");

// What was not measured comes last.
const number = (text) => (text === "" ? Infinity : text === "inf" ? Number.MAX_VALUE : Number(text));

for (const table of document.querySelectorAll("table[data-sortable]")) {
  const rows = [...table.tBodies[0].rows];
  const form = document.querySelector("form[data-search]");
  if (form) searchable(form, rows);
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    if (head.dataset.sort) sortable(table, head, column, head.dataset.sort === "number");
  });
}

function searchable(form, rows) {
  const [input, output] = [form.querySelector("input"), form.querySelector("output")];
  const texts = rows.map((row) => fold(`${row.textContent} ${row.dataset.words ?? ""}`));
  const search = () => {
    const words = fold(input.value).split(/\s+/).filter(Boolean);
    rows.forEach((row, i) => { row.hidden = !words.every((word) => texts[i].includes(word)); });
    output.value = words.length ? `${rows.filter((row) => !row.hidden).length} of ${rows.length}` : "";
  };
  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  input.addEventListener("input", search);
  search();
}

function sortable(table, head, column, numeric) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...head.childNodes);
  head.append(button);
  button.addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const value = (row) => row.cells[column].dataset.value;
    const order = (a, b) => (numeric ? number(a) - number(b) : a < b ? -1 : a > b ? 1 : 0);
    const rows = [...table.tBodies[0].rows].sort((a, b) => order(value(a), value(b)));
    table.tBodies[0].append(...(down ? rows.reverse() : rows));
  });
}

for (const block of document.querySelectorAll("pre.copy")) {
  const place = document.createElement("div");
  place.className = "copied";
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    const text = block.textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(block.firstChild); // no permission: it is selected at least
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
  block.replaceWith(place);
  place.append(block, button);
}
