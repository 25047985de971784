(() => {
  const { rows, marks, size } = JSON.parse(find("data").textContent);
  const columns = document.querySelectorAll("thead th").length;
  const failed = (row) => row[4] !== undefined;

  const show = ([subject, role, pattern, , why], body) => {
    const line = make("tr", "", body);
    const name = make("th", "", line);
    name.scope = "row";
    make("b", subject, name);
    make("code", role, name);
    // Marks and reasons were escaped when the page was written.
    line.insertAdjacentHTML("beforeend", marks[pattern]);
    if (why === undefined) return;
    line.className = "failing";
    const cell = make("td", "", make("tr", "", body, "why"));
    cell.colSpan = columns;
    cell.innerHTML = why;
  };

  const onlyFailures = find("only-failures");
  const again = pagedTable({
    rows,
    size,
    show,
    text: (row) => `${row[0]} ${row[1]} ${row[3] || ""}`,
    keep: (row) => !onlyFailures.checked || failed(row),
    status: (chosen) =>
      `${count(chosen.length)} of ${count(rows.length)} rows, ${count(chosen.filter(failed).length)} with failures`,
    nothing: (words) => (onlyFailures.checked && !words.length ? "Nothing failed." : "No row fits."),
  });
  onlyFailures.addEventListener("change", again);
  // A browser keeps what was typed when a page is loaded again.
  again();
})();
