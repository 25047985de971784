"use strict";
(() => {
  const find = (id) => document.getElementById(id);
  const { rows, marks, size } = JSON.parse(find("data").textContent);
  const body = find("rows");
  const columns = document.querySelectorAll("thead th").length;
  // Lower case once: the filter runs over all rows at every key.
  const haystack = rows.map((row) => `${row[0]} ${row[1]} ${row[3] || ""}`.toLowerCase());
  let page = 0;

  const make = (tag, text, parent) => {
    const element = document.createElement(tag);
    element.textContent = text;
    if (parent) parent.append(element);
    return element;
  };

  const show = ([subject, role, pattern, , why]) => {
    const line = document.createElement("tr");
    const name = make("th", "", line);
    name.scope = "row";
    make("b", subject, name);
    make("code", role, name);
    // Marks and reasons were escaped when the page was written.
    line.insertAdjacentHTML("beforeend", marks[pattern]);
    body.append(line);
    if (why === undefined) return;
    line.className = "failing";
    const reason = document.createElement("tr");
    reason.className = "why";
    const cell = make("td", "", reason);
    cell.colSpan = columns;
    cell.innerHTML = why;
    body.append(reason);
  };

  const render = () => {
    const words = find("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    const failures = find("only-failures").checked;
    const chosen = rows.filter(
      (row, at) => (!failures || row[4] !== undefined) && words.every((word) => haystack[at].includes(word)),
    );
    const pages = Math.max(1, Math.ceil(chosen.length / size));
    page = Math.min(page, pages - 1);
    body.replaceChildren();
    chosen.slice(page * size, (page + 1) * size).forEach(show);
    if (!chosen.length) {
      const cell = make("td", failures && !words.length ? "Nothing failed." : "No row fits.", make("tr", "", body));
      cell.colSpan = columns;
      cell.className = "empty";
    }
    const count = (number) => number.toLocaleString("en");
    const failing = chosen.filter((row) => row[4] !== undefined).length;
    find("status").textContent = `${count(chosen.length)} of ${count(rows.length)} rows, ${count(failing)} with failures`;
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
  find("only-failures").addEventListener("change", again);
  find("previous").addEventListener("click", () => turn(-1));
  find("next").addEventListener("click", () => turn(1));

  // Paper cannot be unfolded.
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    folded.forEach((item) => (item.open = true));
  });
  addEventListener("afterprint", () => folded.forEach((item) => (item.open = false)));

  find("controls").hidden = false;
  // A browser keeps what was typed when a page is loaded again.
  render();
})();
