"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const said = document.getElementById("said");
  const make = (tag, options = {}, ...children) => {
    const made = Object.assign(document.createElement(tag), options);
    made.append(...children);
    return made;
  };

  // Which page is shown: #overview, #SUITE/DATASET, #papers.
  const pages = [...document.querySelectorAll("section.page")];
  const view = document.getElementById("view");
  const filter = document.getElementById("filter");
  const show = () => {
    let name = location.hash.slice(1);
    try { name = decodeURIComponent(name); } catch { name = ""; }
    if (name === "main") return;
    const inside = name.startsWith("paper-") ? "papers" : name;
    const page = pages.find((one) => one.id === inside) || pages[0];
    for (const one of pages) one.hidden = one !== page;
    view.value = page.id;
    filter.closest("label").hidden = page.id === "papers";
    document.title = page.id === "overview" ? "Unblend leaderboard" : `${page.querySelector("h1").textContent} – Unblend`;
    for (const look of page.querySelectorAll(".look:not([data-ready])")) compare(look);
    narrow();
    if (name.startsWith("paper-")) document.getElementById(name)?.scrollIntoView();
    else window.scrollTo(0, 0);
  };
  view.addEventListener("change", () => { location.hash = view.value; });
  window.addEventListener("hashchange", show);

  // Sorting: what has no value stands last either way.
  const value = (row, column) => {
    const text = row.cells[column].dataset.v;
    if (text === undefined || text === "" || text === "None") return null;
    return column === 0 || Number.isNaN(Number(text)) ? text : Number(text);
  };
  const arrange = (head, falling) => {
    const body = head.closest("table").tBodies[0];
    const column = head.cellIndex;
    const rows = [...body.rows].map((row) => [value(row, column), row]);
    rows.sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null);
      const order = typeof a === "number" ? a - b : String(a).localeCompare(String(b));
      return falling ? -order : order;
    });
    body.append(...rows.map(([, row]) => row));
  };
  const sort = (head) => {
    const before = head.getAttribute("aria-sort");
    const falling = before === "none" ? head.querySelector(".sort").dataset.falling === "1" : before === "ascending";
    arrange(head, falling);
    for (const other of head.parentNode.cells) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", falling ? "descending" : "ascending");
    said.textContent = `sorted by ${head.innerText.trim()}, ${falling ? "largest" : "smallest"} first`;
  };

  // Another protocol: the scores of both tables change, and their order with them.
  const under = (select) => {
    const protocol = data.protocols[select.dataset.protocols][Number(select.value)];
    const page = select.closest("section.page");
    for (const table of page.querySelectorAll("table[data-kind]")) {
      for (const row of table.tBodies[0].rows) {
        const scores = protocol[table.dataset.kind][Number(row.dataset.row)];
        row.querySelectorAll(".score").forEach((cell, i) => {
          const [text, sorted, best] = scores[i];
          cell.textContent = text;
          if (sorted === null) delete cell.dataset.v;
          else cell.dataset.v = sorted;
          cell.classList.toggle("best", best === 1);
        });
      }
      const sorted = table.querySelector('th[aria-sort$="scending"]');
      if (sorted) arrange(sorted, sorted.getAttribute("aria-sort") === "descending");
      else if (table.dataset.kind === "main") arrange(table.tHead.rows[0].cells[1], false);
    }
    page.querySelector(".meaning").textContent = protocol.meaning;
    said.textContent = `scores under ${protocol.name}`;
  };
  document.addEventListener("change", (event) => {
    if (event.target.matches?.("select[data-protocols]")) under(event.target);
  });

  // Filter: all words must be in the method's name or variant.
  const narrow = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let left = 0;
    for (const row of document.querySelectorAll("section.page:not([hidden]) table.data tbody tr")) {
      const name = row.cells[0].textContent.toLowerCase();
      row.hidden = !words.every((word) => name.includes(word));
      left += !row.hidden;
    }
    if (words.length) said.textContent = `${left} rows`;
  };
  filter.addEventListener("input", narrow);

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button?.classList.contains("sort")) sort(button.closest("th"));
    if (button?.classList.contains("who")) origin(data.lines[Number(button.dataset.line)]);
  });

  // Where a line's numbers come from. Texts of records enter as text only.
  const dialog = document.getElementById("origin");
  const list = (pairs) => make("dl", {}, ...pairs.filter(([, what]) => what !== null && what !== undefined && what !== "")
    .flatMap(([name, what]) => [make("dt", { textContent: name }), make("dd", { textContent: String(what) })]));
  const origin = (line) => {
    document.getElementById("origin-title").textContent = line.title;
    const body = document.getElementById("origin-body");
    body.replaceChildren();
    for (const one of line.seeds) {
      const versions = Object.entries(one.versions).map(([name, version]) => `${name} ${version}`).join(", ");
      const training = Object.entries(one.training).map(([name, number]) => `${name.replaceAll("_", " ")}: ${number}`).join(", ");
      body.append(
        make("h3", { textContent: `Seed ${one.seed}${one.published ? "" : " (not published)"}` }),
        list([
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

  // Two pictures under one slider.
  const compare = (look) => {
    look.dataset.ready = "1";
    const images = data.samples[look.dataset.samples];
    const options = (select, names) => select.replaceChildren(...names.map((name, i) => make("option", { value: i, textContent: name })));
    const image = make("select"), left = make("select"), right = make("select");
    const zoom = make("input", { type: "range", min: 1, max: 8, step: 0.25, value: 1 });
    const cut = make("input", { type: "range", className: "cut", min: 0, max: 100, step: 0.5, value: 50 });
    cut.setAttribute("aria-label", "where the left picture ends and the right one begins");
    const field = (name, control) => make("label", {}, make("span", { textContent: name }), control);
    const stage = make("div", { className: "stage" });
    const pictures = [make("img", { alt: "" }), make("img", { alt: "" })];
    const tags = [make("span", { className: "tag l" }), make("span", { className: "tag r" })];
    stage.append(make("div", { className: "half" }, pictures[0]), make("div", { className: "half right" }, pictures[1]),
      make("div", { className: "rule" }), ...tags);
    look.append(make("div", { className: "controls" }, field("Picture", image), field("Left", left), field("Right", right), field("Zoom", zoom)), stage, cut);
    const draw = () => {
      const sources = images[image.value].sources;
      [left, right].forEach((select, i) => {
        const [name, key] = sources[select.value] || sources[0];
        pictures[i].src = data.pictures[key];
        pictures[i].alt = name;
        tags[i].textContent = name;
      });
    };
    pictures[0].addEventListener("load", () => {
      const { naturalWidth: width, naturalHeight: height } = pictures[0];
      stage.style.setProperty("--ratio", `${width} / ${height}`);
      for (const picture of pictures) picture.classList.toggle("fine", Math.max(width, height) <= 128);
    });
    const choose = () => {
      const names = images[image.value].sources.map(([name]) => name);
      const kept = [left, right].map((select) => select.selectedOptions[0]?.textContent.split(",")[0]);
      options(left, names);
      options(right, names);
      const like = (text) => names.findIndex((name) => text !== undefined && name.split(",")[0] === text);
      const first = names.findIndex((name) => !/^(Mixture|Truth)/.test(name));
      left.value = Math.max(0, like(kept[0]));
      right.value = like(kept[1]) >= 0 ? like(kept[1]) : Math.max(0, first);
      draw();
    };
    options(image, images.map((one) => one.id));
    choose();
    image.addEventListener("change", choose);
    left.addEventListener("change", draw);
    right.addEventListener("change", draw);
    const move = (percent) => {
      cut.value = percent;
      stage.style.setProperty("--cut", `${cut.value}%`);
    };
    cut.addEventListener("input", () => move(cut.value));
    zoom.addEventListener("input", () => stage.style.setProperty("--zoom", zoom.value));
    const follow = (event) => {
      const box = stage.getBoundingClientRect();
      const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height].map((at) => 100 * Math.min(1, Math.max(0, at)));
      if (event.buttons) move(x);
      else if (event.pointerType === "mouse") {
        stage.style.setProperty("--ox", `${x}%`);
        stage.style.setProperty("--oy", `${y}%`);
      }
    };
    stage.addEventListener("pointerdown", (event) => { stage.setPointerCapture(event.pointerId); follow(event); });
    stage.addEventListener("pointermove", follow);
  };

  // Light, dark, or as the system says.
  const theme = document.getElementById("theme");
  theme.addEventListener("click", () => {
    const dark = getComputedStyle(document.documentElement).colorScheme === "dark";
    document.documentElement.dataset.theme = dark ? "light" : "dark";
  });

  show();
})();
