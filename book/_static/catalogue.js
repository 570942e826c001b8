// Data and models: filter the table, and mark which presets run with what the reader has ticked.
(() => {
  "use strict";

  const start = () => {
    const table = document.getElementById("mr-sets");
    const form = document.querySelector(".mr-catalogue .mr-filter");
    if (!table || !form) return;
    const rows = Array.from(table.tBodies[0].rows, (row) => ({
      row,
      text: row.textContent.toLowerCase(),
      studies: row.dataset.studies.split(" "),
      box: row.querySelector("input[name=have]"),
    }));
    const lines = Array.from(document.querySelectorAll("[data-needs]"), (line) => {
      const words = line.querySelector(".mr-ready");
      return { needs: line.dataset.needs.split(" ").filter(Boolean), words, html: words.innerHTML };
    });
    const KEY = "medrepro-have";

    const have = ({ row, box }) => row.dataset.itself === "yes" || box.checked;

    const filter = () => {
      const field = (name) => form.elements[name].value;
      const words = field("text").toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const entry of rows) {
        const { row, text, studies } = entry;
        const fits =
          (!field("study") || studies.includes(field("study"))) &&
          ["access", "kind"].every((name) => !field(name) || row.dataset[name] === field(name)) &&
          (!field("have") || have(entry) === (field("have") === "yes")) &&
          words.every((word) => text.includes(word));
        row.hidden = !fits;
        shown += fits;
      }
      form.querySelector(".mr-shown").textContent =
        shown === rows.length ? `all ${rows.length} shown` : `${shown} of ${rows.length} shown`;
      document.querySelector(".mr-catalogue .mr-none").hidden = shown > 0;
    };

    const mark = () => {
      const mine = new Set(rows.filter(({ box }) => box && box.checked).map(({ row }) => row.id));
      for (const { needs, words, html } of lines) {
        if (!needs.length) continue;
        const lacking = needs.filter((name) => !mine.has(name));
        if (lacking.length) {
          words.innerHTML = html;
          for (const link of words.querySelectorAll("a")) {
            if (mine.has(link.hash.slice(1))) link.replaceWith(`${link.textContent} (yours)`);
          }
        } else {
          words.textContent = "runs with what you have";
        }
      }
    };

    // What was ticked is kept in this browser only; where storage is refused, for this visit only.
    try {
      for (const name of JSON.parse(localStorage.getItem(KEY) || "[]")) {
        const entry = rows.find(({ row, box }) => box && row.id === name);
        if (entry) entry.box.checked = true;
      }
    } catch { /* storage is refused or holds something else */ }

    table.addEventListener("change", () => {
      try {
        const names = rows.filter(({ box }) => box && box.checked).map(({ row }) => row.id);
        localStorage.setItem(KEY, JSON.stringify(names));
      } catch { /* storage is refused */ }
      mark();
      filter();
    });

    // A link may ask for a part of the table: catalogue.html?study=34_ccan
    for (const [name, value] of new URLSearchParams(location.search)) {
      const field = form.elements[name];
      if (field && (field.tagName === "INPUT" || Array.from(field.options || []).some((o) => o.value === value))) {
        field.value = value;
      }
    }

    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", filter);
    form.addEventListener("reset", () => setTimeout(filter)); // fields are empty only after the event
    form.hidden = false;
    for (const { box } of rows) if (box) box.hidden = false;
    const hint = document.querySelector(".mr-catalogue .mr-hint");
    if (hint) hint.hidden = false;
    mark();
    filter();
  };

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
