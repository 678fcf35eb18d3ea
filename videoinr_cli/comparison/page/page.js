"use strict";

// A comparison in one page: draws the frames of both videos on a canvas, and the figures as plots.
// All state is in `state`; every change goes through a function that draws what depends on it.

const data = JSON.parse(document.getElementById("data").textContent);
const element = (id) => document.getElementById(id);
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

const [A, B, REFERENCE] = [0, 1, 2];
const hasReference = data.videos.length > REFERENCE;
const last = data.frames.length - 1;
// The largest picture's size as it is shown: all others are drawn as large.
const largest = data.videos.reduce((one, other) => (other.width > one.width ? other : one));
const size = { width: largest.width * largest.pixel_aspect, height: largest.height };

const SLOWEST_PLAY = 4; // frames per second, where the frames lie far apart
const DECODED_PIXELS = 120e6; // kept at once
const MAX_ZOOM = 32;
const kept = clamp(Math.floor(DECODED_PIXELS / (data.videos.length * size.width * size.height)), 4, 240);

const stage = element("stage");
const canvas = element("canvas");
const context = canvas.getContext("2d");
const scratch = document.createElement("canvas").getContext("2d");
const handle = element("split");

const state = {
  index: 0,
  view: "split",
  split: 0.5, // share of the stage's width
  zoom: null, // device pixels per picture pixel; null: the whole picture fits
  centre: [size.width / 2, size.height / 2], // in picture pixels, when zoomed
  pixels: false,
  gain: 8,
  playing: null, // { from, since } while it plays
};

// --- What is drawn -----------------------------------------------------------------------------------------

// A view is one pane, or two with the split between them; a pane is one video, or the difference of two.
const VIEWS = {
  split: { name: "Split", key: "s", panes: [[A], [B]] },
  a: { name: "A", key: "a", panes: [[A]] },
  b: { name: "B", key: "b", panes: [[B]] },
  ...(hasReference && { reference: { name: "Reference", key: "r", panes: [[REFERENCE]] } }),
  difference: {
    name: "Difference",
    key: "d",
    panes: hasReference ? [[A, REFERENCE], [B, REFERENCE]] : [[A, B]],
  },
};

let pictures = null; // of the frame on show: an image of each video
const decoded = new Map(); // frame index -> promise of such images, the latest used last

function load(index) {
  let images = decoded.get(index);
  decoded.delete(index);
  images ??= Promise.all(
    data.frames[index].pictures.map(async (address) => {
      const image = new Image();
      image.src = address;
      await image.decode();
      return image;
    }),
  );
  decoded.set(index, images);
  while (decoded.size > kept) decoded.delete(decoded.keys().next().value);
  return images;
}

function fitZoom() {
  return Math.min(canvas.width / size.width, canvas.height / size.height);
}

function place() {
  const zoom = state.zoom ?? fitZoom();
  const [x, y] = state.zoom === null ? [size.width / 2, size.height / 2] : state.centre;
  return {
    zoom,
    left: Math.round(canvas.width / 2 - x * zoom),
    top: Math.round(canvas.height / 2 - y * zoom),
    width: Math.round(size.width * zoom),
    height: Math.round(size.height * zoom),
  };
}

function paint(target, video, at) {
  target.imageSmoothingEnabled = !state.pixels;
  target.imageSmoothingQuality = "high";
  if (pictures) target.drawImage(pictures[video], at.left, at.top, at.width, at.height);
}

function draw() {
  const { panes } = VIEWS[state.view];
  const at = place();
  const border = Math.round(state.split * canvas.width);
  context.clearRect(0, 0, canvas.width, canvas.height);
  panes.forEach(([video, other], number) => {
    const left = number === 0 ? 0 : border;
    const right = panes.length > 1 && number === 0 ? border : canvas.width;
    context.save();
    context.beginPath();
    context.rect(left, 0, right - left, canvas.height);
    context.clip();
    paint(context, video, at);
    if (other !== undefined) {
      // Enlarged on a canvas of its own, so that both are rounded alike and equal pictures leave nothing.
      [scratch.canvas.width, scratch.canvas.height] = [canvas.width, canvas.height];
      paint(scratch, other, at);
      context.globalCompositeOperation = "difference";
      context.drawImage(scratch.canvas, 0, 0);
    }
    context.restore();
  });
  canvas.style.filter = state.view === "difference" ? `brightness(${state.gain})` : "";
  handle.hidden = panes.length < 2;
  handle.style.left = `${100 * state.split}%`;
  handle.setAttribute("aria-valuenow", Math.round(100 * state.split));
  const names = panes.map((videos) => videos.map((video) => data.videos[video].label).join(" − "));
  element("badge-left").textContent = names[0];
  element("badge-right").textContent = names[1] ?? "";
  element("zoom").textContent = state.zoom === null ? "Fit" : `${Math.round(100 * state.zoom)} %`;
}

// --- Changes -----------------------------------------------------------------------------------------------

async function go(index) {
  state.index = clamp(index, 0, last);
  showTime();
  const wanted = state.index;
  const images = await load(wanted);
  if (wanted !== state.index) return;
  pictures = images;
  draw();
  stage.dataset.frame = wanted;
  for (const next of [wanted + 1, wanted - 1, wanted + 2]) {
    if (next >= 0 && next <= last) load(next);
  }
}

function show(view) {
  if (!(view in VIEWS)) return;
  state.view = view;
  for (const button of element("views").children) {
    button.setAttribute("aria-pressed", button.dataset.view === view);
  }
  element("gain-group").hidden = view !== "difference";
  draw();
}

function moveSplit(share) {
  state.split = clamp(share, 0, 1);
  draw();
}

function setGain(gain) {
  state.gain = clamp(gain, 1, 32);
  element("gain").value = state.gain;
  element("gain-value").textContent = `${state.gain}×`;
  draw();
}

function togglePixels() {
  state.pixels = !state.pixels;
  document.querySelector('[data-do="pixels"]').setAttribute("aria-pressed", state.pixels);
  draw();
}

// Zoom so that the picture's point under (x, y), in device pixels of the canvas, stays there.
function zoomTo(zoom, x = canvas.width / 2, y = canvas.height / 2) {
  const before = place();
  const fit = fitZoom();
  if (zoom === null || (zoom <= fit && fit <= 1)) {
    state.zoom = null;
  } else {
    state.zoom = clamp(zoom, Math.min(fit, 1), MAX_ZOOM);
    centreOn(
      (x - before.left) / before.zoom - (x - canvas.width / 2) / state.zoom,
      (y - before.top) / before.zoom - (y - canvas.height / 2) / state.zoom,
    );
  }
  draw();
}

// Put a point of the picture in the middle, as far as nothing beside the picture comes into sight.
function centreOn(x, y) {
  const along = (point, length, room) => {
    const half = room / state.zoom / 2;
    return length <= 2 * half ? length / 2 : clamp(point, half, length - half);
  };
  state.centre = [along(x, size.width, canvas.width), along(y, size.height, canvas.height)];
}

function pan(dx, dy) {
  if (state.zoom === null) return;
  centreOn(state.centre[0] - dx / state.zoom, state.centre[1] - dy / state.zoom);
  draw();
}

function togglePlay() {
  if (state.playing) {
    state.playing = null;
  } else {
    state.playing = { from: state.index === last ? 0 : state.index, since: performance.now() };
    requestAnimationFrame(playOn);
  }
  const button = element("play");
  button.querySelector("path").setAttribute("d", state.playing ? "M8 5v14M16 5v14" : "M8 5v14l11-7z");
  button.setAttribute("aria-label", state.playing ? "Pause" : "Play");
}

function playOn(now) {
  if (!state.playing) return;
  const rate = Math.max(SLOWEST_PLAY, data.frames_per_second);
  const frames = state.playing.from + Math.floor(Math.max(0, now - state.playing.since) * rate / 1000);
  const index = frames % (last + 1);
  if (index !== state.index) go(index);
  requestAnimationFrame(playOn);
}

function step(frames) {
  if (state.playing) togglePlay();
  go(state.index + frames);
}

const ACTIONS = {
  first: () => step(-Infinity),
  back: () => step(-1),
  play: togglePlay,
  forward: () => step(1),
  last: () => step(Infinity),
  "zoom-in": () => zoomTo(place().zoom * 1.5),
  "zoom-out": () => zoomTo(place().zoom / 1.5),
  fit: () => zoomTo(null),
  actual: () => zoomTo(1),
  pixels: togglePixels,
};

// --- Words and figures -------------------------------------------------------------------------------------

function make(parent, tag, attributes = {}, text = "") {
  const svg = ["svg", "path", "line", "circle", "text"].includes(tag);
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = text;
  parent.append(made);
  return made;
}

function describe() {
  for (const video of data.videos) {
    const item = make(element("videos"), "li");
    make(item, "span", { class: `key ${video.label}` }, video.label);
    make(item, "b", {}, video.name);
    make(item, "small", {}, `${video.width}×${video.height}, ${video.frames_per_second} fps`);
  }
  for (const [view, { name, key }] of Object.entries(VIEWS)) {
    const attributes = { type: "button", "data-view": view, title: `${name} (${key.toUpperCase()})` };
    make(element("views"), "button", attributes, name).addEventListener("click", () => show(view));
  }
  element("notes").replaceChildren(...data.notes.map((note) => {
    const paragraph = document.createElement("p");
    paragraph.textContent = `${note} `;
    return paragraph;
  }));
  element("scrubber").max = last;
  stage.style.setProperty("--aspect", `${size.width} / ${size.height}`);
}

function showTime() {
  const { seconds } = data.frames[state.index];
  const rest = (seconds % 60).toFixed(3).padStart(6, "0");
  element("time").textContent = `${Math.floor(seconds / 60)}:${rest}  ·  ${state.index + 1}/${last + 1}`;
  element("scrubber").value = state.index;
  plots.forEach((plot) => plot.follow());
}

const figure = (value, unit) =>
  value === null ? "–" : value === "inf" ? "equal" : `${value.toFixed(unit ? 2 : 4)}${unit && ` ${unit}`}`;

function mean(values) {
  const finite = values.filter((value) => typeof value === "number");
  if (!finite.length) return values.includes("inf") ? "inf" : null;
  return finite.reduce((sum, value) => sum + value, 0) / finite.length;
}

// Round numbers that divide a range into two to four parts.
function ticks(low, high) {
  const raw = (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(raw));
  const unit = [1, 2, 5, 10].find((factor) => factor * power >= raw) * power;
  const found = [];
  for (let value = Math.ceil(low / unit) * unit; value <= high + unit / 1e6; value += unit) found.push(value);
  return { found, digits: Math.max(0, -Math.floor(Math.log10(unit) + 1e-9)) };
}

class Plot {
  constructor(curves) {
    this.curves = curves;
    const panel = make(element("plots"), "section", { class: "plot" });
    this.legend = make(panel, "div", { class: "legend" });
    this.svg = make(panel, "svg", { role: "img", "aria-label": `${curves[0].metric} of each frame` });
    const seek = (event) => {
      if (state.playing) togglePlay();
      const x = event.clientX - this.svg.getBoundingClientRect().left;
      go(Math.round(((x - this.left) / (this.right - this.left)) * last));
    };
    this.svg.addEventListener("pointerdown", (event) => {
      this.svg.setPointerCapture(event.pointerId);
      seek(event);
    });
    this.svg.addEventListener("pointermove", (event) => {
      if (this.svg.hasPointerCapture(event.pointerId)) seek(event);
    });
    new ResizeObserver(() => this.draw()).observe(this.svg);
  }

  // Lay the plot out for its width: scales, grid, curves.
  draw() {
    const { width, height } = this.svg.getBoundingClientRect();
    const finite = this.curves.flatMap(({ values }) => values.filter((value) => typeof value === "number"));
    let [low, high] = finite.length ? [Math.min(...finite), Math.max(...finite)] : [0, 1];
    const margin = Math.max((high - low) * 0.1, this.curves[0].unit ? 0.2 : 0.002);
    [low, high] = [low - margin, high + margin];
    [this.left, this.right] = [44, width - 8];
    const [top, bottom] = [8, height - 8];
    this.x = (index) => (last ? this.left + (index / last) * (this.right - this.left) : (this.left + this.right) / 2);
    this.y = (value) => (value === "inf" ? top : bottom - ((value - low) / (high - low)) * (bottom - top));
    this.svg.replaceChildren();
    const { found, digits } = ticks(low, high);
    for (const value of found) {
      const y = this.y(value);
      make(this.svg, "line", { class: "grid", x1: this.left, x2: this.right, y1: y, y2: y });
      make(this.svg, "text", { class: "tick", x: this.left - 6, y: y + 4, "text-anchor": "end" }, value.toFixed(digits));
    }
    this.now = make(this.svg, "line", { class: "now", y1: top, y2: bottom });
    this.dots = this.curves.map(({ values }, number) => {
      const points = values.map((value, index) => (value === null ? null : [this.x(index), this.y(value)]));
      const path = points.map((point, index) => point && `${index && points[index - 1] ? "L" : "M"}${point}`);
      make(this.svg, "path", { class: this.series(number), d: path.filter(Boolean).join("") });
      return make(this.svg, "circle", { class: this.series(number), r: 3.5 });
    });
    this.follow();
  }

  series(number) {
    return `s${this.curves.length > 1 ? number : 1}`;
  }

  // Show where the current frame is.
  follow() {
    if (!this.now) return;
    const { index } = state;
    const x = this.x(index);
    this.now.setAttribute("x1", x);
    this.now.setAttribute("x2", x);
    this.legend.replaceChildren();
    this.curves.forEach(({ metric, unit, label, values }, number) => {
      const value = values[index];
      this.dots[number].setAttribute("cx", x);
      this.dots[number].setAttribute("cy", value === null ? -9 : this.y(value));
      const entry = make(this.legend, "span");
      make(entry, "span", { class: `swatch ${this.series(number)}` });
      make(entry, "span", { class: "name" }, `${metric} ${label} `);
      make(entry, "span", { class: "value" }, `${figure(value, unit)} `);
      make(entry, "span", { class: "mean" }, `mean ${figure(mean(values), unit)}`);
    });
  }
}

const metrics = [...new Set(data.curves.map(({ metric }) => metric))];
const plots = metrics
  .map((metric) => data.curves.filter((curve) => curve.metric === metric))
  .filter((curves) => curves.some(({ values }) => values.some((value) => value !== null)))
  .map((curves) => new Plot(curves));

// --- Hands -------------------------------------------------------------------------------------------------

const pointers = new Map(); // id -> position, in device pixels of the canvas
let dragging = null; // "split", "pan" or "pinch"

function position(event) {
  const box = canvas.getBoundingClientRect();
  const ratio = canvas.width / box.width;
  return [(event.clientX - box.left) * ratio, (event.clientY - box.top) * ratio];
}

stage.addEventListener("pointerdown", (event) => {
  if (event.button) return;
  stage.setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, position(event));
  const isSplit = VIEWS[state.view].panes.length > 1;
  if (pointers.size === 2) dragging = "pinch";
  else if (isSplit && (event.target.closest("#split") || state.zoom === null)) dragging = "split";
  else dragging = state.zoom === null ? null : "pan";
  if (dragging === "split") moveSplit(position(event)[0] / canvas.width);
  stage.classList.toggle("moving", dragging === "pan");
});

stage.addEventListener("pointermove", (event) => {
  const before = pointers.get(event.pointerId);
  if (!before) return;
  const now = position(event);
  if (dragging === "split") moveSplit(now[0] / canvas.width);
  if (dragging === "pan") pan(now[0] - before[0], now[1] - before[1]);
  if (dragging === "pinch" && pointers.size === 2) {
    const other = [...pointers].find(([id]) => id !== event.pointerId)[1];
    const spread = ([x, y]) => Math.hypot(x - other[0], y - other[1]);
    zoomTo((place().zoom * spread(now)) / Math.max(1, spread(before)), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
    pan((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
  }
  pointers.set(event.pointerId, now);
});

for (const end of ["pointerup", "pointercancel"]) {
  stage.addEventListener(end, (event) => {
    pointers.delete(event.pointerId);
    dragging = null;
    stage.classList.remove("moving");
  });
}

stage.addEventListener(
  "wheel",
  (event) => {
    event.preventDefault();
    zoomTo(place().zoom * Math.exp(-0.002 * event.deltaY), ...position(event));
  },
  { passive: false },
);

const KEYS = {
  ArrowLeft: (event) => step(event.shiftKey ? -10 : -1),
  ArrowRight: (event) => step(event.shiftKey ? 10 : 1),
  Home: ACTIONS.first,
  End: ACTIONS.last,
  " ": togglePlay,
  "[": () => moveSplit(state.split - 0.02),
  "]": () => moveSplit(state.split + 0.02),
  "+": ACTIONS["zoom-in"],
  "=": ACTIONS["zoom-in"],
  "-": ACTIONS["zoom-out"],
  0: ACTIONS.fit,
  1: ACTIONS.actual,
  p: togglePixels,
  t: () => show(state.view === "a" ? "b" : "a"),
  ",": () => setGain(state.gain - 1),
  ".": () => setGain(state.gain + 1),
  "?": () => element("help").showModal(),
  ...Object.fromEntries(Object.entries(VIEWS).map(([view, { key }]) => [key, () => show(view)])),
};

// Keys that an element needs for itself.
function isTaken(target, key) {
  if (target === handle) return ["ArrowLeft", "ArrowRight", "Home", "End"].includes(key);
  if (target instanceof HTMLButtonElement) return key === " " || key === "Enter";
  return target instanceof HTMLInputElement && /^(Arrow|Page|Home|End)/.test(key);
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || element("help").open) return;
  const action = KEYS[event.key] ?? KEYS[event.key.toLowerCase()];
  if (!action || isTaken(event.target, event.key)) return;
  event.preventDefault();
  action(event);
});

handle.addEventListener("keydown", (event) => {
  const by = event.shiftKey ? 0.1 : 0.01;
  const to = { ArrowLeft: state.split - by, ArrowRight: state.split + by, Home: 0, End: 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  moveSplit(to);
});

document.addEventListener("click", (event) => {
  ACTIONS[event.target.closest("[data-do]")?.dataset.do]?.();
});
element("help-button").addEventListener("click", () => element("help").showModal());
element("gain").addEventListener("input", (event) => setGain(Number(event.target.value)));
element("scrubber").addEventListener("input", (event) => step(Number(event.target.value) - state.index));

new ResizeObserver(() => {
  const box = stage.getBoundingClientRect();
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(box.width * ratio));
  canvas.height = Math.max(1, Math.round(box.height * ratio));
  draw();
}).observe(stage);

describe();
show("split");
go(0);
