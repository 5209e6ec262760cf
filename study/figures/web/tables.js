// Tables that sort by a click on a header, or by Enter on it, and one that a few words filter.
"use strict";

const ORDER = new Intl.Collator(undefined, { numeric: true });

/** The number that a cell begins with, `0.5 ± 0.1` too; NaN where it is none. */
function leading(text) {
  const number = text.split("±")[0].trim().replace(/,/g, "");
  if (/^-?inf$/.test(number)) return number === "inf" ? Infinity : -Infinity;
  return number === "" ? NaN : Number(number);
}

/** What compares two cells of a column: by number where all that are filled are numbers, else by words. */
function comparing(texts) {
  const numbers = texts.map(leading), filled = (place) => texts[place] !== "";
  const numeric = texts.every((_text, place) => !filled(place) || !Number.isNaN(numbers[place]));
  return (one, other, sign) => {
    if (!filled(one) || !filled(other)) return filled(other) - filled(one); // blanks are last, either way
    if (!numeric) return sign * ORDER.compare(texts[one], texts[other]);
    return numbers[one] === numbers[other] ? 0 : sign * (numbers[one] < numbers[other] ? -1 : 1);
  };
}

function makeSortable(table) {
  const body = table.tBodies[0], rows = [...body.rows], heads = [...table.tHead.rows[0].cells];
  const sort = (head, column, direction) => {
    heads.forEach((each) => each.removeAttribute("aria-sort"));
    const order = rows.map((_row, place) => place);
    if (direction) {
      const compare = comparing(rows.map((row) => row.cells[column].textContent.trim()));
      const sign = direction === "ascending" ? 1 : -1;
      order.sort((one, other) => compare(one, other, sign) || one - other);
      head.setAttribute("aria-sort", direction);
    }
    body.append(...order.map((place) => rows[place]));
  };
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    head.textContent.split(/(?<=[/_.])/).forEach((part, place) => {
      if (place) button.append(document.createElement("wbr"));
      button.append(part);
    });
    head.replaceChildren(button);
    const next = { ascending: "descending", descending: null };
    button.addEventListener("click", () => {
      const now = head.getAttribute("aria-sort");
      sort(head, column, now ? next[now] : "ascending");
    });
  });
}

function makeFilter(table) {
  const rows = [...table.tBodies[0].rows], texts = rows.map((row) => row.textContent.toLowerCase());
  const label = document.createElement("label");
  label.className = "filter";
  const field = add(label, "input"), count = add(label, "span");
  field.type = "search";
  field.placeholder = "Filter runs by words";
  field.setAttribute("aria-label", field.placeholder);
  count.setAttribute("aria-live", "polite");
  const show = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    rows.forEach((row, place) => { row.hidden = !words.every((word) => texts[place].includes(word)); });
    const shown = rows.filter((row) => !row.hidden).length;
    count.textContent = ` ${shown.toLocaleString("en")} of ${rows.length.toLocaleString("en")}`;
  };
  field.addEventListener("input", show);
  show();
  table.closest(".wide").before(label);
}

for (const table of document.querySelectorAll("table.sortable")) makeSortable(table);
for (const table of document.querySelectorAll("table.filtered")) makeFilter(table);
