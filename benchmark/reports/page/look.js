// Pictures of all methods on one image, side by side, and two of them under a slider.
const look = (view) => {
  const { images, ids, psnr, layers, target } = view.pictures;
  const whole = make("div", { className: "look" });
  const pictured = images.filter((image) => image.mixture);
  const known = new Map(pictured.map((image) => [image.id, image]));
  const ranked = view.rows.map((_, row) => row).filter((row) => psnr[row].some((value) => value !== null));
  if (!pictured.length && !ranked.length) {
    whole.append(make("p", { className: "small", textContent: "No pictures lie beside these records." }));
    return whole;
  }
  let shown = pictured[0] ? pictured[0].id : ids[0];
  let layer = target.length ? target[0] : 0;
  let by = ranked[0] ?? 0;

  const grid = make("div", { className: "grid" });
  const tens = make("div", { className: "tens" });
  const strip = make("div", { className: "strip" });
  const told = make("p", { className: "small" });
  const pair = compared(view);
  const thumb = (image, text) => make("img", { src: data.pictures[image.mixture], alt: text, decoding: "async" });

  const draw = () => {
    const image = known.get(shown);
    grid.replaceChildren(...(image ? figures(image) : bars()));
    for (const button of whole.querySelectorAll("button[data-image]")) button.setAttribute("aria-pressed", button.dataset.image === shown);
    pair.element.hidden = !image;
    if (image) pair.show(image, layer);
    told.textContent = explained(image);
    narrow();
  };
  const explained = (image) => {
    if (!image) return `Of ${shown} no picture is kept: its PSNR by each method.`;
    const who = view.rows.filter((_, row) => !image.rows[row]).map(nameOf);
    const without = who.length ? ` No picture of ${who.join("; ")}: the weights did not ship, or the page is full.` : "";
    if (!image.from) return `Test image ${image.id}, first seed.${without}`;
    return `Test images are not passed on with the project (licence: ${view.licence}). Here the same weights separate an embedded picture: ${image.from}.${without}`;
  };
  const figure = (name, key, score, row) => {
    const picture = make("img", { src: data.pictures[key], alt: "", decoding: "async" });
    picture.addEventListener("load", () => picture.classList.toggle("fine", Math.max(picture.naturalWidth, picture.naturalHeight) <= 128));
    const button = make("button", { type: "button", className: "pick", title: "put it under the slider" }, picture,
      make("b", { textContent: name }), make("span", { textContent: score }));
    button.addEventListener("click", () => pair.put(row, key));
    return button;
  };
  const figures = (image) => {
    const made = [figure("Mixture", image.mixture, "", null)];
    if (image.truth[layer]) made.push(figure("Truth", image.truth[layer], layers[layer], null));
    const own = Object.entries(image.rows).filter(([, keys]) => keys[layer]);
    const best = Math.max(...own.map(([row]) => image.psnr[row][layer] ?? -Infinity));
    for (const [row, keys] of own) {
      const value = image.psnr[row][layer];
      const ofRow = figure(nameOf(view.rows[row]), keys[layer], value === undefined ? "" : decibels(value), Number(row));
      ofRow.classList.toggle("first", value === best);
      ofRow.filterBy = nameOf(view.rows[row]).toLowerCase();
      made.push(ofRow);
    }
    return made;
  };
  const bars = () => {
    const place = ids.indexOf(shown);
    const own = ranked.map((row) => [row, psnr[row][place]]).filter(([, value]) => value !== null);
    const most = Math.max(...own.map(([, value]) => value));
    return own.map(([row, value]) => make("p", { className: "bar" }, make("span", { textContent: nameOf(view.rows[row]) }),
      make("i", { style: `width:${(60 * Math.max(0, value)) / most}%` }), make("b", { textContent: decibels(value) })));
  };
  const entry = (id, text) => {
    const image = known.get(id);
    const made = make("button", { type: "button", title: id }, ...(image ? [thumb(image, "")] : []), make("span", { textContent: text }));
    made.dataset.image = id;
    made.addEventListener("click", () => { shown = id; choose.value = pictured.findIndex((one) => one.id === id); draw(); });
    return made;
  };
  const listTens = () => {
    const own = ids.map((id, i) => [psnr[by][i], id]).filter(([value]) => value !== null).sort(([a], [b]) => a - b);
    const row = (title, some) => make("div", {}, make("h3", { textContent: title }),
      make("div", { className: "strip" }, ...some.map(([value, id]) => entry(id, decibels(value)))));
    tens.replaceChildren(row("Ten worst", own.slice(0, 10)), row("Ten best", own.slice(-10).reverse()));
  };

  const choose = chooser(pictured.map((image) => (image.from ? `embedded: ${image.id}` : image.id)), (i) => { shown = pictured[i].id; draw(); });
  const layered = chooser(layers, (i) => { layer = i; draw(); });
  layered.value = layer;
  const controls = make("div", { className: "controls" });
  if (pictured.length) controls.append(field("Picture", choose));
  if (pictured.length && layers.length > 1) controls.append(field("Layer", layered));
  strip.append(...pictured.map((image) => entry(image.id, "")));
  for (const button of strip.children) labelled(button, `picture ${button.dataset.image}`);
  whole.append(make("div", { className: "all" }, controls, strip, told, grid), pair.element);
  if (ranked.length) {
    const judge = chooser(ranked.map((row) => nameOf(view.rows[row])), (i) => { by = ranked[i]; listTens(); draw(); });
    whole.append(make("details", { className: "extremes", open: true },
      make("summary", { textContent: "Ten worst and ten best test images" }), field("of method", judge), tens));
    listTens();
  }
  draw();
  return whole;
};

// Two of an image's pictures under a slider; what was chosen is kept from image to image where it is there.
const compared = (view) => {
  const { stage, cut, set } = slider();
  const chosen = ["Mixture", ""];
  let there = [];
  const zoom = make("input", { type: "range", min: 1, max: 8, step: 0.25, value: 1 });
  zoom.addEventListener("input", () => stage.style.setProperty("--zoom", zoom.value));
  const sides = [0, 1].map((side) => chooser([], (i) => { chosen[side] = there[i].what; draw(); }));
  const draw = () => {
    const places = chosen.map((what) => Math.max(0, there.findIndex((one) => one.what === what)));
    places.forEach((place, side) => { sides[side].value = place; });
    set(...places.map((place) => there[place]));
  };
  const show = (image, layer) => {
    there = sources(view, image);
    for (const side of sides) side.replaceChildren(...there.map((one, i) => make("option", { value: i, textContent: captionOf(one) })));
    const before = there.find((one) => one.what === chosen[1]);
    if (!before || (before.layer !== null && before.layer !== layer)) {
      const first = there.find((one) => one.row !== null && one.layer === layer && (!before || one.row === before.row));
      chosen[1] = (first || there[there.length - 1]).what;
    }
    draw();
  };
  const put = (row, key) => {
    const found = there.find((one) => one.key === key && one.row === row);
    if (!found) return;
    chosen[1] = found.what;
    draw();
    say(`${captionOf(found)} is under the slider`);
  };
  const element = make("div", { className: "pair" }, make("div", { className: "controls" }, field("Left", sides[0]), field("Right", sides[1]), field("Zoom", zoom)), stage, cut);
  return { element, show, put };
};
