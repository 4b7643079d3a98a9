// The views: the overview, a data set, the papers; and which of them is shown.
const hero = (task, turn) => {
  const views = task.views.map((name) => data.views[name]);
  const pictured = (view) => view.pictures.images.filter((one) => one.mixture && Object.keys(one.rows).length);
  // The set that most methods have pictures of; tasks take turns with their images, which may be the same photographs.
  const methods = (view) => (pictured(view).length ? Object.keys(pictured(view)[0].rows).length : 0);
  const view = views.reduce((most, one) => (methods(one) > methods(most) ? one : most), views[0]);
  const card = make("article", { className: "card" });
  const image = pictured(view)[turn % pictured(view).length];
  if (image) {
    const row = Math.min(...Object.keys(image.rows).map(Number));
    const own = sources(view, image).filter((one) => one.row === null || one.row === row);
    const { stage, cut, set } = slider();
    const strip = make("div", { className: "strip layers", style: `--layers: ${view.pictures.layers.length}` });
    // The mixture, then a column for each layer: what the method gives above the truth. A press puts it on the right.
    for (const one of own) {
      const says = one.layer === null ? "mixture" : `${one.row === null ? "true " : ""}${view.pictures.layers[one.layer]}`;
      const button = make("button", { type: "button", style: one.layer === null ? "" : `grid-area: ${one.row === null ? 2 : 1} / ${one.layer + 2}` },
        make("img", { src: data.pictures[one.key], alt: "", decoding: "async" }), make("span", { textContent: says }));
      button.addEventListener("click", () => {
        set(own[0], one);
        for (const other of strip.children) other.setAttribute("aria-pressed", other === button);
      });
      strip.append(button);
    }
    const wanted = own.findIndex((one) => one.row === row && view.pictures.target.includes(one.layer));
    strip.children[Math.max(0, wanted)].click();
    card.append(stage, cut, strip);
  }
  const best = view.scores[0].findIndex((cells) => cells[0] === "1");
  const score = best < 0 ? "no row is ranked" : `best of ${view.rows.length}: ${nameOf(view.rows[best])}, ${view.scores[0][best][1].replace("!", "")} dB`;
  card.append(make("h2", {}, make("a", { href: `#${view.id}`, textContent: task.title })), make("p", { textContent: task.says }),
    make("p", { className: "small", textContent: `${view.label}, ${score}` }));
  if (views.length > 1) card.append(make("p", { className: "small" }, "All sets: ", ...views.flatMap((one, i) => [i ? ", " : "", make("a", { href: `#${one.id}`, textContent: one.label })])));
  return card;
};

// Methods × data sets, of all suites.
const drawMatrix = (place) => {
  const views = data.tasks.flatMap((task) => task.views.map((name) => data.views[name]));
  const names = new Map();
  for (const view of views) {
    view.rows.forEach((row, i) => {
      const known = names.get(row[2]) || { name: nameOf(row), of: new Map() };
      known.of.set(view.id, i);
      names.set(row[2], known);
    });
  }
  const methods = [...names.values()].sort((a, b) => b.of.size - a.of.size || a.name.localeCompare(b.name));
  const { scoreHeads } = views[0];
  const measures = scoreHeads.map((head, i) => [head, i]).filter(([head]) => head.text !== "Rank" && head.text !== "95 %");
  const protocols = [...new Set(views.flatMap((view) => view.protocols.map(([name]) => name)))];
  let [measure, protocol] = [0, 0];
  const cell = (view, row) => {
    if (row === undefined) return { text: "", sort: null };
    const under = protocol ? view.protocols.findIndex(([name]) => name === protocols[protocol - 1]) : 0;
    return under < 0 ? { text: "", sort: null } : scoreCell(view.scores[under][row][measures[measure][1]]);
  };
  const { table, scroll } = makeTable({
    label: "methods by data sets", kind: "matrix",
    heads: views.map((view) => ({ text: view.label, falling: true, hint: `judged by ${view.judged}`, link: view.id })),
    rows: methods.map((method) => ({
      first: make("th", { scope: "row", textContent: method.name }), name: method.name,
      cells: views.map((view) => cell(view, method.of.get(view.id))),
    })),
  });
  table.tHead.prepend(make("tr", { className: "groups" }, make("td"), ...data.tasks.map((task) => make("th", { scope: "colgroup", colSpan: task.views.length, textContent: task.title }))));
  const again = () => {
    const falling = measures[measure][0].falling;
    for (const head of table.querySelectorAll(".sort")) head.falling = falling;
    table.querySelectorAll("tbody tr").forEach((line) => {
      views.forEach((view, i) => fill(line.cells[i + 1], cell(view, methods[line.place].of.get(view.id))));
    });
    sortAgain(table);
    say(`${measures[measure][0].text}, ${protocol ? protocols[protocol - 1] : "each task's own protocol"}`);
  };
  const metric = chooser(measures.map(([head]) => head.text), (i) => { measure = i; again(); });
  const under = chooser(["each task's own", ...protocols], (i) => { protocol = i; again(); });
  place.append(make("div", { className: "controls" }, field("Metric", metric), field("Protocol", under)), scroll);
};

// Where a row's numbers come from.
const dialog = document.getElementById("origin");
const listed = (pairs) => make("dl", {}, ...pairs.filter(([, what]) => what !== null && what !== undefined && what !== "")
  .flatMap(([name, what]) => [make("dt", { textContent: name }), make("dd", { textContent: String(what) })]));
const origin = (line) => {
  document.getElementById("origin-title").textContent = line.title;
  const body = document.getElementById("origin-body");
  body.replaceChildren();
  for (const own of line.seeds) {
    const one = { ...line.shared, ...own };
    const versions = Object.entries(one.versions).map(([name, version]) => `${name} ${version}`).join(", ");
    const training = Object.entries(one.training).map(([name, number]) => `${name.replaceAll("_", " ")}: ${number}`).join(", ");
    body.append(
      make("h3", { textContent: `Seed ${one.seed}${one.published ? "" : " (not published)"}` }),
      listed([
        ["PSNR (dB)", one.psnr.join(", ")], ["commit", one.commit], ["measured", one.time], ["device", one.device],
        ["processor", one.processor], ["processes", one.processes], ["versions", versions], ["training", training],
        ["versions of ours", Object.values(one.identities).join(", ")], ["cell", one.key], ["score", one.score],
        ["data digest", one.data], ["weights, SHA-256", one.weights],
      ]),
    );
    if (one.log) body.append(make("details", {}, make("summary", { textContent: "end of the log" }), make("pre", { textContent: one.log })));
  }
  body.append(make("details", {}, make("summary", { textContent: "configuration" }), make("pre", { textContent: line.config })));
  dialog.showModal();
};
dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });

// A method's name: opens where its numbers come from, and has a link to the row.
const firstCell = (view, row, linked) => {
  const [title, variant, key] = view.rows[row];
  const button = make("button", { type: "button", className: "who", textContent: title, title: "where these numbers come from" });
  button.addEventListener("click", () => origin(data.lines[view.lines[row]]));
  const made = make("th", { scope: "row" }, button);
  if (linked) made.append(" ", labelled(make("a", { className: "here", href: `#${view.id}/${key}` }), `link to ${nameOf(view.rows[row])}`));
  if (variant) made.append(make("small", { textContent: variant }));
  if (!view.published[row]) made.append(make("small", { className: "badge", textContent: "not published" }));
  return made;
};

const tablesOf = (view) => {
  let under = 0;
  const main = (row) => [...view.scores[under][row].map(scoreCell), ...view.fixed[row].map(([text, sort, note]) => ({ text, sort, note }))];
  const rows = (cells, linked) => view.rows.map((row, i) => ({
    first: firstCell(view, i, linked), name: nameOf(row), id: linked ? `${view.id}/${row[2]}` : "", cells: cells(i),
  }));
  const heads = [...view.scoreHeads, ...view.fixedHeads];
  const first = makeTable({ label: `scores, ${view.dataset}`, kind: "main", heads, rows: rows(main, true) });
  const parts = [[first, heads, main]];
  if (view.layers) {
    const cells = (row) => view.layers.scores[under][row].map(scoreCell);
    parts.push([makeTable({ label: `scores by layer, ${view.dataset}`, kind: "layers", heads: view.layers.heads, rows: rows(cells, false) }), view.layers.heads, cells]);
  }
  const meaning = make("span", { className: "small meaning", textContent: view.protocols[0][1] });
  const switched = (i) => {
    under = i;
    for (const [{ table }, , cells] of parts) {
      for (const line of table.tBodies[0].rows) cells(line.place).forEach((cell, column) => fill(line.cells[column + 1], cell));
      if (!sortAgain(table) && table === first.table) arrange(table.tHead.rows[0].cells[1], false);
    }
    meaning.textContent = view.protocols[i][1];
    say(`scores under ${view.protocols[i][0]}`);
  };
  const protocol = chooser(view.protocols.map(([name], i) => (i ? name : `${name} (the task's own)`)), switched);
  protocol.dataset.protocols = view.id;
  const choice = make("p", { className: "protocol" });
  if (view.protocols.length > 1) choice.append(field("Protocol", protocol), " ");
  choice.append(meaning);
  const made = [choice, columns(first.table, heads), first.scroll,
    make("p", { className: "small", textContent: `± is the standard deviation over seeds. Latency on ${view.hardware.join("; ")}.` })];
  if (parts[1]) made.push(make("h2", { textContent: "Layer by layer" }), columns(parts[1][0].table, view.layers.heads), parts[1][0].scroll);
  return made;
};

const plotsOf = ({ plots, judged, protocols }) => {
  const figure = (title, says, svg, ...more) => (svg ? [make("figure", { tabIndex: 0 }, make("figcaption", {}, make("b", { textContent: title }), says), drawing(svg), ...more)] : []);
  const legend = make("ul", { className: "legend" }, ...plots.legend.map((name, i) => make("li", { className: `c${i}` }, make("i"), name)));
  return make("div", {}, make("p", { className: "small", textContent: `Plots are of ${judged}, under ${protocols[0][0]}.` }), make("div", { className: "plots" },
    ...figure("Quality against latency", "The line is the Pareto front: nothing is both faster and better.", plots.latency),
    ...figure("Quality against size", "Methods without parameters stand on the left.", plots.parameters),
    ...figure("Quality against arithmetic", "Where multiply-adds could be counted.", plots.macs),
    ...figure("Image by image", "Median, half and nine tenths of the test images; dots are the extremes.", plots.boxes),
    ...figure("Training", plots.left ? `${plots.left} more runs are not drawn.` : "", plots.curves, legend)));
};

const notes = (texts) => {
  const made = texts.map((text) => make("p", { className: "note", textContent: text }));
  return made.length > 3 ? [make("details", {}, make("summary", { textContent: `${made.length} notes` }), ...made)] : made;
};

const drawView = (section, view) => {
  const task = data.tasks.find((one) => one.views.includes(view.id));
  const others = task.views.map((name) => data.views[name]);
  const sets = others.map((one) => (one === view ? make("b", { textContent: one.label }) : make("a", { href: `#${one.id}`, textContent: one.label })));
  const about = `${view.about}${view.licence ? ` Licence: ${view.licence}.` : ""}`;
  section.replaceChildren(
    make("p", { className: "crumb" }, make("a", { href: "#overview", textContent: "Overview" }), ` / ${task.title} / `, ...sets.flatMap((one, i) => [i ? " · " : "", one])),
    make("h1", { textContent: `${task.title}: ${view.label}` }),
    make("h2", { textContent: "Look" }), look(view),
    make("h2", { textContent: "Scores" }),
    make("p", { textContent: about }), ...notes(view.notes),
    ...tablesOf(view), make("h2", { textContent: "Plots" }), plotsOf(view),
  );
  if (view.papers.length) section.append(make("h2", { textContent: "What papers report on these data" }));
  for (const paper of view.papers) {
    section.append(make("h3", {}, make("a", { href: `#paper-${paper.id}`, textContent: paper.title })), paperTable(paper));
  }
  if (view.claims.length) section.append(make("h2", { textContent: "What papers claim on these data" }), claimTable(view));
};

const drawPapers = (place) => {
  for (const paper of data.papers) {
    place.append(make("h2", { id: `paper-${paper.id}`, textContent: paper.title }), make("p", { textContent: paper.caption }), paperTable(paper),
      make("p", { className: "small" }, make("b", { textContent: "Known: " }), paper.known));
    if (paper.damaged) place.append(make("p", { className: "small" }, make("b", { textContent: "Damaged: " }), paper.damaged));
    if (paper.missing.length) place.append(make("details", { className: "small" }, make("summary", { textContent: "What is missing" }), make("ul", {}, ...paper.missing.map((text) => make("li", { textContent: text })))));
  }
};

// Which view is shown: #overview, #SUITE/DATASET, #SUITE/DATASET/METHOD, #papers, #paper-ID.
const pages = Object.fromEntries(["overview", "dataset", "papers"].map((id) => [id, document.getElementById(`page-${id}`)]));
const chosen = document.getElementById("view");
const show = () => {
  let name = location.hash.slice(1);
  try { name = decodeURIComponent(name); } catch { name = ""; }
  if (name === "main") return;
  const outer = name.slice(0, name.lastIndexOf("/"));
  const view = data.views[name] || data.views[outer];
  const id = view ? "dataset" : name === "papers" || name.startsWith("paper-") ? "papers" : "overview";
  if (id === "papers" && !pages.papers.drawn) drawPapers(pages.papers);
  if (id === "overview" && !pages.overview.drawn) {
    document.getElementById("heroes").append(...data.tasks.map(hero));
    if (data.tasks.length) drawMatrix(document.getElementById("matrix"));
  }
  if (view && pages.dataset.drawn !== view.id) drawView(pages.dataset, view);
  pages[id].drawn = view ? view.id : true;
  for (const page of Object.values(pages)) page.hidden = page !== pages[id];
  chosen.value = view ? view.id : id;
  filter.closest("label").hidden = id === "papers";
  document.title = id === "overview" ? "Unblend leaderboard" : `${pages[id].querySelector("h1").textContent} – Unblend`;
  narrow();
  for (const row of document.querySelectorAll("tr.named")) row.classList.remove("named");
  const inside = name.startsWith("paper-") || (view && name !== view.id) ? document.getElementById(name) : null;
  if (inside) {
    if (inside.tagName === "TR") inside.classList.add("named");
    inside.scrollIntoView({ block: inside.tagName === "TR" ? "center" : "start", behavior: "instant" });
  } else window.scrollTo({ top: 0, behavior: "instant" });
};
chosen.addEventListener("change", () => { location.hash = chosen.value; });
window.addEventListener("hashchange", show);

// Light, dark, or as the system says.
document.getElementById("theme").addEventListener("click", () => {
  const dark = getComputedStyle(document.documentElement).colorScheme === "dark";
  document.documentElement.dataset.theme = dark ? "light" : "dark";
});

show();
