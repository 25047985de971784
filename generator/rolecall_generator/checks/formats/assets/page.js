"use strict";
const find = (id) => document.getElementById(id);

const make = (tag, text, parent, className) => {
  const element = document.createElement(tag);
  element.textContent = text;
  if (className) element.className = className;
  if (parent) parent.append(element);
  return element;
};

const count = (number) => number.toLocaleString("en");

// A table that shows `size` of its rows at a time, those that hold every word of the filter and that `keep` keeps.
// `text(row)` is what the filter searches, `show(row, body)` appends a row's elements, `status(chosen)` counts in words,
// `nothing(words)` is said where no row fits. Returns the function that shows all from the first page.
const pagedTable = ({ rows, size, text, keep, show, status, nothing }) => {
  const body = find("rows");
  const columns = document.querySelectorAll("thead th").length;
  // Lower case once: the filter runs over all rows at every key.
  const haystack = rows.map((row) => text(row).toLowerCase());
  let page = 0;

  const render = () => {
    const words = find("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    const chosen = rows.filter((row, at) => keep(row) && words.every((word) => haystack[at].includes(word)));
    const pages = Math.max(1, Math.ceil(chosen.length / size));
    page = Math.min(page, pages - 1);
    body.replaceChildren();
    chosen.slice(page * size, (page + 1) * size).forEach((row) => show(row, body));
    if (!chosen.length) make("td", nothing(words), make("tr", "", body), "empty").colSpan = columns;
    find("status").textContent = status(chosen);
    find("pager").hidden = pages === 1;
    find("page").textContent = `Page ${count(page + 1)} of ${count(pages)}`;
    find("previous").disabled = page === 0;
    find("next").disabled = page === pages - 1;
  };

  const turn = (step) => {
    page += step;
    render();
    document.querySelector("table").scrollIntoView({ block: "start" });
  };
  const again = () => {
    page = 0;
    render();
  };
  find("filter").addEventListener("input", again);
  find("previous").addEventListener("click", () => turn(-1));
  find("next").addEventListener("click", () => turn(1));
  find("controls").hidden = false;
  return again;
};

// Paper cannot be unfolded.
let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open])")];
  folded.forEach((item) => (item.open = true));
});
addEventListener("afterprint", () => folded.forEach((item) => (item.open = false)));
