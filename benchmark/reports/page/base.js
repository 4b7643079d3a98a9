// What all parts of the page use. Texts of records enter the page as text only.
const data = JSON.parse(document.getElementById("data").textContent);

const make = (tag, options = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), options);
  made.append(...children);
  return made;
};
const labelled = (made, text) => {
  made.setAttribute("aria-label", text);
  return made;
};
const say = (text) => { document.getElementById("said").textContent = text; };

// Plots come as SVG whose texts were escaped where they were drawn.
const drawing = (svg) => {
  const held = document.createElement("template");
  held.innerHTML = svg;
  return held.content;
};

const field = (name, control) => make("label", { className: "field" }, make("span", { textContent: name }), control);
const chooser = (names, changed) => {
  const made = make("select", { autocomplete: "off" });
  made.append(...names.map((name, i) => make("option", { value: i, textContent: name })));
  made.addEventListener("change", () => changed(Number(made.value)));
  return made;
};

// Title and variant of a row in one.
const nameOf = ([title, variant]) => (variant ? `${title}, ${variant}` : title);
const decibels = (value) => `${value.toFixed(2)} dB`;

// Two pictures under one slider: the left one up to the cut, the right one from there on.
const slider = () => {
  const stage = make("div", { className: "stage" });
  const images = [make("img", { alt: "" }), make("img", { alt: "" })];
  const tags = [make("span", { className: "tag l" }), make("span", { className: "tag r" })];
  const cut = labelled(make("input", { type: "range", className: "cut", min: 0, max: 100, step: 0.5, value: 50 }),
    "where the left picture ends and the right one begins");
  stage.append(make("div", { className: "half" }, images[0]), make("div", { className: "half right" }, images[1]),
    make("div", { className: "rule" }), ...tags);
  images[0].addEventListener("load", () => {
    const { naturalWidth: width, naturalHeight: height } = images[0];
    stage.style.setProperty("--ratio", `${width} / ${height}`);
    for (const image of images) image.classList.toggle("fine", Math.max(width, height) <= 128);
  });
  const move = (percent) => {
    cut.value = percent;
    stage.style.setProperty("--cut", `${cut.value}%`);
  };
  cut.addEventListener("input", () => move(cut.value));
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
  const set = (...two) => two.forEach((one, i) => {
    images[i].src = data.pictures[one.key];
    images[i].alt = captionOf(one);
    tags[i].textContent = captionOf(one);
  });
  return { stage, cut, set };
};

// What there is of one image, in order: mixture, truths, each method's layers. Mixture and truths are of no row.
const sources = (view, image) => {
  const { layers } = view.pictures;
  const found = [{ what: "Mixture", key: image.mixture, row: null, layer: null }];
  image.truth.forEach((key, layer) => found.push({ what: `Truth: ${layers[layer]}`, key, row: null, layer }));
  for (const [row, keys] of Object.entries(image.rows)) {
    keys.forEach((key, layer) => found.push({ what: `${nameOf(view.rows[row])}: ${layers[layer]}`, key, row: Number(row), layer, psnr: image.psnr[row][layer] }));
  }
  return found.filter((one) => one.key);
};
const captionOf = ({ what, psnr }) => (psnr === undefined ? what : `${what}, ${decibels(psnr)}`);
