// Results at a glance: filter and sort the table that the page already shows in full.
(() => {
  "use strict";

  const start = () => {
    const table = document.getElementById("mr-results");
    const form = document.querySelector(".mr-filter");
    if (!table || !form) return;
    const body = table.tBodies[0];
    const rows = Array.from(body.rows, (row) => ({
      row,
      text: row.textContent.toLowerCase(),
      keys: Array.from(row.cells, (cell) => cell.dataset.sort),
    }));

    const filter = () => {
      const words = form.elements.text.value.toLowerCase().split(/\s+/).filter(Boolean);
      const wanted = ["study", "status", "rung"].filter((name) => form.elements[name].value);
      let shown = 0;
      for (const { row, text } of rows) {
        const fits =
          wanted.every((name) => row.dataset[name] === form.elements[name].value) &&
          words.every((word) => text.includes(word));
        if (row.hidden === fits) row.hidden = !fits;
        shown += fits;
      }
      form.querySelector(".mr-shown").textContent =
        shown === rows.length ? `all ${rows.length} claims shown` : `${shown} of ${rows.length} claims shown`;
      document.querySelector(".mr-none").hidden = shown > 0;
    };

    const compare = (a, b) => {
      const difference = Number(a) - Number(b); // NaN for words
      return Number.isNaN(difference) ? a.localeCompare(b, undefined, { numeric: true }) : difference;
    };

    const sort = (column, header) => {
      const down = header.getAttribute("aria-sort") === "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      header.setAttribute("aria-sort", down ? "descending" : "ascending");
      const sign = down ? -1 : 1;
      const place = new Map(rows.map(({ row }, index) => [row, index]));
      const sorted = [...rows].sort(
        (a, b) => sign * compare(a.keys[column], b.keys[column]) || place.get(a.row) - place.get(b.row),
      );
      body.append(...sorted.map(({ row }) => row));
    };

    Array.from(table.tHead.rows[0].cells).forEach((header, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = header.textContent;
      button.addEventListener("click", () => sort(column, header));
      header.replaceChildren(button);
    });

    // A link may ask for a part of the table: results.html?status=fails
    for (const [name, value] of new URLSearchParams(location.search)) {
      const field = form.elements[name];
      if (field && (field.tagName === "INPUT" || Array.from(field.options || []).some((o) => o.value === value))) {
        field.value = value;
      }
    }

    // A square in the picture leads to its row, also when a filter hides it.
    document.querySelector(".mr-map")?.addEventListener("click", (event) => {
      const link = event.target.closest("a[href^='#']");
      const row = link && document.getElementById(decodeURIComponent(link.hash.slice(1)));
      if (row && row.hidden) {
        form.reset();
        filter();
      }
    });

    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", filter);
    form.addEventListener("reset", () => setTimeout(filter)); // fields are empty only after the event
    document.querySelector(".mr-reset").addEventListener("click", () => form.reset());
    form.hidden = false;
    filter();
  };

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
