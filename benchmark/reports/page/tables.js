// Tables that are sorted, filtered, and whose columns can be hidden.
const numberOf = (text) => {
  const found = parseFloat(text);
  return Number.isNaN(found) ? null : found;
};
// A score's text begins with a mark where it is the best of its column.
const scoreCell = (marked) => {
  const best = marked.startsWith("!");
  const text = best ? marked.slice(1) : marked;
  return { text, sort: numberOf(text), best };
};
const fill = (made, cell) => {
  made.textContent = cell.text;
  made.sortBy = cell.sort;
  made.classList.toggle("best", Boolean(cell.best));
  if (cell.note) made.append(make("small", { textContent: cell.note }));
};

const header = (head) => {
  const made = make("th", { scope: "col" });
  made.setAttribute("aria-sort", "none");
  const button = make("button", { type: "button", className: "sort", textContent: head.text, title: head.hint || "" });
  button.falling = head.falling;
  button.addEventListener("click", () => sortBy(made));
  made.append(button);
  if (head.link) made.append(" ", labelled(make("a", { href: `#${head.link}`, textContent: "↗" }), `open ${head.text}`));
  return made;
};

// heads: of the columns after the first; rows: { first: a cell, name: what is filtered by, id, cells }.
const makeTable = ({ label, kind, heads, rows }) => {
  const table = make("table", { className: `data ${kind}` });
  table.createTHead().append(make("tr", {}, header({ text: "Method" }), ...heads.map(header)));
  const body = table.createTBody();
  rows.forEach((row, place) => {
    const line = make("tr", { id: row.id || "", place });
    line.filterBy = row.name.toLowerCase();
    row.first.sortBy = line.filterBy;
    line.append(row.first, ...row.cells.map((cell) => {
      const made = make("td");
      fill(made, cell);
      return made;
    }));
    body.append(line);
  });
  const scroll = labelled(make("div", { className: "scroll", tabIndex: 0 }, table), label);
  scroll.setAttribute("role", "region");
  return { table, scroll };
};

// What has no value stands last either way.
const arrange = (head, falling) => {
  const body = head.closest("table").tBodies[0];
  const rows = [...body.rows].map((row) => [row.cells[head.cellIndex].sortBy, row]);
  rows.sort(([a, x], [b, y]) => {
    const [noA, noB] = [a, b].map((value) => value === null || value === undefined || value === "");
    if (noA || noB) return noA - noB || x.place - y.place;
    const order = typeof a === "number" ? a - b : String(a).localeCompare(String(b));
    return (falling ? -order : order) || x.place - y.place;
  });
  body.append(...rows.map(([, row]) => row));
};
const sortBy = (head) => {
  const before = head.getAttribute("aria-sort");
  const falling = before === "none" ? Boolean(head.querySelector(".sort").falling) : before === "ascending";
  arrange(head, falling);
  for (const other of head.parentNode.cells) other.setAttribute("aria-sort", "none");
  head.setAttribute("aria-sort", falling ? "descending" : "ascending");
  say(`sorted by ${head.querySelector(".sort").textContent}, ${falling ? "largest" : "smallest"} first`);
};
const sortAgain = (table) => {
  const sorted = table.querySelector('th[aria-sort$="scending"]');
  if (sorted) arrange(sorted, sorted.getAttribute("aria-sort") === "descending");
  return Boolean(sorted);
};

// A list of the columns; what is not ticked is not shown.
const columns = (table, heads) => {
  const set = (column, shown) => {
    for (const row of table.rows) row.cells[column + 1].hidden = !shown;
  };
  const boxes = heads.map((head, i) => {
    const box = make("input", { type: "checkbox", checked: head.shown });
    box.addEventListener("change", () => set(i, box.checked));
    if (!head.shown) set(i, false);
    return make("label", {}, box, make("span", { textContent: head.text }));
  });
  return make("details", { className: "columns" }, make("summary", { textContent: "Columns" }), make("div", {}, ...boxes));
};

// All words must be in the method's name or variant.
const filter = document.getElementById("filter");
const narrow = () => {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  let left = 0;
  for (const row of document.querySelectorAll("section.page:not([hidden]) table.data tbody tr")) {
    row.hidden = !words.every((word) => row.filterBy.includes(word));
    left += !row.hidden;
  }
  for (const picture of document.querySelectorAll(".pick")) {
    picture.hidden = picture.filterBy !== undefined && !words.every((word) => picture.filterBy.includes(word));
  }
  if (words.length) say(`${left} rows`);
};
filter.addEventListener("input", narrow);

// A table of a paper, with what was measured of its rows.
const paperTable = (paper) => {
  const line = (cells, className) => make("tr", { className },
    make("th", { scope: "row", textContent: cells[0] }), ...cells.slice(1).map((text) => make("td", { textContent: text })));
  const head = make("tr", {}, ...["Row", ...paper.columns].map((text) => make("th", { scope: "col", textContent: text })));
  const table = make("table", { className: "paper" }, make("thead", {}, head), make("tbody", {},
    ...paper.rows.flatMap(([printed, measured]) => [line(printed, ""), ...measured.map((cells) => line(cells, "measured"))])));
  const scroll = labelled(make("div", { className: "scroll", tabIndex: 0 }, table), paper.title);
  scroll.setAttribute("role", "region");
  return scroll;
};

// What papers claim on a data set, and whether it holds by the records.
const claimTable = (view) => {
  const head = make("tr", {}, ...["Claim", "Verdict", "Measured"].map((text) => make("th", { scope: "col", textContent: text })));
  const rows = view.claims.map(([says, place, paper, verdict, why, measured]) => make("tr", {},
    make("th", { scope: "row" }, `${says} (`, paper ? make("a", { href: `#paper-${paper}`, textContent: place }) : place, ")"),
    make("td", {}, make("b", { textContent: verdict }), why ? `: ${why}` : ""), make("td", { textContent: measured })));
  const table = make("table", { className: "claims" }, make("thead", {}, head), make("tbody", {}, ...rows));
  const scroll = labelled(make("div", { className: "scroll", tabIndex: 0 }, table), `claims, ${view.dataset}`);
  scroll.setAttribute("role", "region");
  return scroll;
};
