(() => {
  const { rows, cells, texts, steps, marks, size } = JSON.parse(find("data").textContent);
  const columns = document.querySelectorAll("thead th").length;
  const styles = {
    ok: "ok", refused: "ok", skipped: "none", failed: "failed", unreachable: "doubtful", inconclusive: "doubtful",
  };
  // As in html_rows.py: the troubles, the worst first.
  const troubles = ["failed", "unreachable", "inconclusive"];
  const markOf = (item) => marks[item][0];

  const showRung = ([step, mark, what, answer, effort], list) => {
    const [name, sign] = marks[mark];
    const line = make("li", "", list, styles[name]);
    make("i", sign, line).ariaHidden = "true";
    make("span", name, line, "sr");
    make("b", steps[step], line);
    make("span", texts[what], line);
    if (texts[effort]) make("small", texts[effort], line);
    if (texts[answer]) make("code", texts[answer], line);
  };

  const showDiagnosis = ([cause, vendor], parent) => {
    const said = make("p", "", parent, "cause");
    make("b", "Likely cause", said);
    said.append(` ${texts[vendor]} `);
    make("code", texts[cause], said);
  };

  const showMessage = (message, name, parent) => {
    if (!texts[message]) return;
    const letter = make("div", "", parent, "letter");
    make("h3", `Message to ${name}`, letter);
    make("button", "Copy", letter).type = "button";
    letter.lastChild.className = "copy";
    make("pre", texts[message], letter);
  };

  const show = ([name, kind, role, mark, marksOfRow, rungs, diagnoses, message], body) => {
    const word = markOf(mark);
    const style = word === "failed" ? "failing" : troubles.includes(word) ? "doubtful" : "";
    const line = make("tr", "", body, style);
    const head = make("th", "", line);
    head.scope = "row";
    make("b", name, head);
    if (texts[kind]) make("small", texts[kind], head, "soft");
    make("code", role, head);
    // The cells were escaped when the page was written.
    line.insertAdjacentHTML("beforeend", cells[marksOfRow]);
    const cell = make("td", "", make("tr", "", body, `why ${style || "fine"}`));
    cell.colSpan = columns;
    if (style) {
      const article = make("article", "", cell);
      const list = make("ul", "", article, "rungs");
      troubles.forEach((trouble) =>
        rungs.filter((rung) => markOf(rung[1]) === trouble).forEach((rung) => showRung(rung, list)),
      );
      diagnoses.forEach((diagnosis) => showDiagnosis(diagnosis, article));
      showMessage(message, name, article);
    }
    const details = make("details", "", cell);
    make("summary", `Every rung: ${rungs.length} ${rungs.length === 1 ? "rung" : "rungs"}`, details);
    const all = make("ul", "", details, "rungs");
    rungs.forEach((rung) => showRung(rung, all));
  };

  const chosenMark = find("mark");
  const notOk = (row) => troubles.includes(markOf(row[3]));
  const again = pagedTable({
    rows,
    size,
    show,
    text: ([name, kind, role, , , rungs, diagnoses]) =>
      [
        name, texts[kind], role,
        ...rungs.filter((rung) => troubles.includes(markOf(rung[1]))).map((rung) => texts[rung[3]]),
        ...diagnoses.map((diagnosis) => texts[diagnosis[0]]),
      ].join(" "),
    keep: (row) => !chosenMark.value || (chosenMark.value === "not ok" ? notOk(row) : markOf(row[3]) === chosenMark.value),
    status: (chosen) =>
      `${count(chosen.length)} of ${count(rows.length)} accounts, ${count(chosen.filter(notOk).length)} not ok`,
    nothing: (words) => (chosenMark.value === "not ok" && !words.length ? "Everybody is ok." : "No account fits."),
  });
  chosenMark.addEventListener("change", again);

  const copy = async (pre) => {
    try {
      await navigator.clipboard.writeText(pre.textContent);
      return "Copied";
    } catch {
      // Without the permission the text is selected, for the reader's own keys.
      getSelection().selectAllChildren(pre);
      return document.execCommand("copy") ? "Copied" : "Selected";
    }
  };
  find("rows").addEventListener("click", async ({ target }) => {
    if (!target.matches(".copy")) return;
    target.textContent = await copy(target.parentElement.querySelector("pre"));
    setTimeout(() => (target.textContent = "Copy"), 2000);
  });

  document.documentElement.className = "scripted";
  again();
})();
