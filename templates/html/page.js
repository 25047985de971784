"use strict";
const find = (id) => document.getElementById(id);
const count = (number) => number.toLocaleString("en");
const pageRows = 100;

// All rows are in the page, in tables of 100. The first of these shows those that are chosen; the script holds the others.
// Each row is a tbody with its details. The filter searches its heading, what is marked as searched, and all code
// of its article.
const pagedTable = ([first, ...more]) => {
  const rows = [first, ...more]
    .flatMap((part) => [...part.querySelectorAll("tbody")])
    .map((body) => ({ body, mark: body.dataset.mark, bad: body.className !== "", text: "" }));
  const table = first.querySelector("table");
  const { noun, bad } = find("status").dataset;
  const show = find("show");
  let page = 0;
  more.forEach((part) => part.remove());

  const searched = (row) => {
    row.text ||= [...row.body.querySelectorAll("th, .searched, article code")].map((part) => part.textContent).join(" ").toLowerCase();
    return row.text;
  };

  const render = () => {
    const words = find("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    const marks = show.type === "checkbox" && !show.checked ? "" : show.value;
    const kept = rows.filter(
      (row) => (!marks || marks.split(" ").includes(row.mark)) && words.every((word) => searched(row).includes(word)),
    );
    const pages = Math.max(1, Math.ceil(kept.length / pageRows));
    page = Math.min(page, pages - 1);
    // The heading stays in place, so that its buttons keep the focus.
    [...table.tBodies].forEach((body) => body.remove());
    table.append(...kept.slice(page * pageRows, (page + 1) * pageRows).map(({ body }) => body));
    find("no-match").hidden = kept.length > 0;
    find("status").textContent =
      `${count(kept.length)} of ${count(rows.length)} ${noun}, ${count(kept.filter((row) => row.bad).length)} ${bad}`;
    find("pager").hidden = pages === 1;
    find("page").textContent = `Page ${count(page + 1)} of ${count(pages)}`;
    find("previous").disabled = page === 0;
    find("next").disabled = page === pages - 1;
  };

  // Columns whose heading has data-sort can be sorted: by "mark" in the order of the choices, else by what a cell shows.
  // A second click reverses the order; empty cells stay last.
  const sortBy = (heading) => {
    const down = heading.getAttribute("aria-sort") === "ascending";
    const ranks = [...show.options].map((option) => option.value);
    const keyOf = ({ body, mark }) => (heading.dataset.sort === "mark" ? ranks.indexOf(mark) : body.rows[0].cells[heading.cellIndex].textContent.trim());
    const keyed = rows.map((row) => [keyOf(row), row]);
    const order = new Intl.Collator("en", { numeric: true }).compare;
    keyed.sort(([one], [other]) => (one === "") - (other === "") || (down ? -1 : 1) * order(one, other));
    rows.splice(0, rows.length, ...keyed.map(([, row]) => row));
    table.tHead.querySelectorAll("[aria-sort]").forEach((each) => each.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    restart();
  };
  table.tHead.querySelectorAll("[data-sort]").forEach((heading) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    button.addEventListener("click", () => sortBy(heading));
    heading.append(button);
  });

  const turn = (step) => {
    page += step;
    render();
    table.scrollIntoView({ block: "start" });
  };
  const restart = () => {
    page = 0;
    render();
  };
  find("filter").addEventListener("input", restart);
  show.addEventListener("change", restart);
  find("previous").addEventListener("click", () => turn(-1));
  find("next").addEventListener("click", () => turn(1));
  find("controls").hidden = false;
  // A browser restores the filter when a page is loaded again.
  render();
};

const copy = async (pre) => {
  try {
    await navigator.clipboard.writeText(pre.textContent);
    return "Copied";
  } catch {
    // Without the permission the text is selected, so that the reader can copy it.
    getSelection().selectAllChildren(pre);
    return document.execCommand("copy") ? "Copied" : "Selected";
  }
};

addEventListener("click", async ({ target }) => {
  if (!target.matches(".copy")) return;
  target.textContent = await copy(target.parentElement.querySelector("pre"));
  setTimeout(() => (target.textContent = "Copy"), 2000);
});

// Details cannot be opened on paper.
let closed = [];
addEventListener("beforeprint", () => {
  closed = [...document.querySelectorAll("details:not([open])")];
  closed.forEach((item) => (item.open = true));
});
addEventListener("afterprint", () => closed.forEach((item) => (item.open = false)));

// The style sheet hides all but the first rows while a long page loads.
document.documentElement.classList.add("scripted", "loading");
addEventListener("DOMContentLoaded", () => {
  const parts = document.querySelectorAll(".rows");
  if (parts.length) pagedTable([...parts]);
  document.documentElement.classList.remove("loading");
});
