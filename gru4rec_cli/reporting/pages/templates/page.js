"use strict";
// Tables sort by a column when its heading is pressed; without a script they stand as they are.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  table.querySelectorAll("thead th").forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const numeric = heading.classList.contains("number");
      const before = heading.getAttribute("aria-sort");
      const direction = before ? (before === "ascending" ? "descending" : "ascending") : numeric ? "descending" : "ascending";
      for (const other of table.querySelectorAll("thead th")) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", direction);
      const sign = direction === "ascending" ? 1 : -1;
      const rows = [...body.rows].map((row) => [row, key(row.cells[column], numeric)]);
      rows.sort(([, a], [, b]) => {
        if (a === null || b === null) return (a === null) - (b === null); // what has no value stays last
        return sign * (numeric ? a - b : a.localeCompare(b, document.documentElement.lang, { numeric: true }));
      });
      body.append(...rows.map(([row]) => row));
    });
  });
}

function key(cell, numeric) {
  if (!numeric) return cell.textContent;
  return cell.dataset.value === undefined ? null : Number(cell.dataset.value);
}

// What is wider than the screen says so.
const fits = new ResizeObserver((changed) => {
  for (const { target } of changed) target.previousElementSibling.hidden = target.scrollWidth <= target.clientWidth + 1;
});
for (const each of document.querySelectorAll(".scroll")) fits.observe(each);

// Folded tables are printed open; on a narrow screen the contents begin folded.
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((each) => (each.open = true)));
if (matchMedia("(max-width: 68rem)").matches) document.querySelector("nav details")?.removeAttribute("open");
