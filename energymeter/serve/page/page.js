"use strict";
// The page of an agent. Every text from outside is set as text and never as markup.
const at = (id) => document.getElementById(id);
const POLL_MS = 500, HIDDEN_MS = 10000, MOST_RETRY_MS = 2000, TIMEOUT_MS = 5000, SPEAK_MS = 15000, MOST_COLUMNS = 512;

function make(tag, text, properties) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  return Object.assign(element, properties);
}
function row(cells, first) {
  const line = document.createElement("tr");
  cells.forEach((cell, place) => {
    const box = make(place === 0 && first ? "th" : "td");
    if (place === 0 && first) box.scope = "row";
    box.append(cell);
    line.append(box);
  });
  return line;
}
function text(id, value) { // a reader of the screen is not disturbed by what did not change
  const element = at(id);
  if (element.textContent !== value) element.textContent = value;
}
const kept = { get: (name) => { try { return localStorage.getItem(name); } catch { return null; } },
  set: (name, value) => { try { localStorage.setItem(name, value); } catch { /* a private window keeps nothing */ } } };

// Theme ------------------------------------------------------------------------------------------

const THEMES = ["system", "light", "dark"];
let theme = THEMES.includes(kept.get("theme")) ? kept.get("theme") : "system";
function showTheme() {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  text("theme", `Theme: ${theme}`);
  at("theme").setAttribute("aria-label", `Theme: ${theme}. Change it`);
  draw();
  drawPlot();
}
at("theme").addEventListener("click", () => {
  theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
  kept.set("theme", theme);
  showTheme();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showTheme);

// Asking -----------------------------------------------------------------------------------------

let token = null;
try { token = sessionStorage.getItem("token"); } catch { /* asked again then */ }

class Refused extends Error {
  constructor(status, message) { super(message); this.status = status; }
}
async function ask(target, tried) {
  const headers = token && tried ? { Authorization: `Bearer ${token}` } : {};
  const response = await fetch(target, { headers, cache: "no-store", credentials: "same-origin", signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (response.status === 401 && token && !tried) {
    await ask("/api/login", true); // the cookie that links need, too
    return ask(target, true);
  }
  if (!response.ok) throw new Refused(response.status, (await response.text()).trim());
  return response.json();
}
at("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  token = at("token").value;
  try {
    await ask("/api/login", true);
    try { sessionStorage.setItem("token", token); } catch { /* asked again then */ }
    at("login").hidden = true;
    text("login-error", "");
    showView();
    poll();
  } catch (error) {
    token = null;
    text("login-error", error.message);
  }
});

// Live -------------------------------------------------------------------------------------------

const live = { agent: "", source: "", channel: "", zoom: Number(kept.get("zoom") ?? 1), columns: new Map(), seconds: 1, startUnix: 0,
  last: -1, widths: [], paused: false, answer: null, failures: 0, since: 0, timer: 0, spoken: 0, speak: false };

function forget() { live.columns.clear(); live.last = -1; }

let asking = false;
async function poll() {
  clearTimeout(live.timer);
  if (asking || !at("login").hidden) return;
  asking = true;
  const wanted = `${live.source}\n${live.channel}\n${live.zoom}`;
  const query = new URLSearchParams({ source: live.source, channel: live.channel, zoom: live.zoom, since: Math.max(live.last, 0) });
  let next = document.hidden ? HIDDEN_MS : POLL_MS;
  try {
    const answer = await ask(`/api/live?${query}`);
    if (live.failures) text("status", "Connected again.");
    if (live.failures) setTimeout(() => { if (!live.failures) at("status").hidden = true; }, 4000);
    live.failures = 0;
    if (wanted !== `${live.source}\n${live.channel}\n${live.zoom}` || !take(answer)) next = 0;
  } catch (error) {
    if (error instanceof Refused && error.status === 401) {
      at("login").hidden = false;
      for (const name of VIEWS) at(name).hidden = true;
      at("token").focus();
    } else {
      live.failures += 1;
      if (live.failures === 1) live.since = Date.now();
      next = Math.min(POLL_MS * live.failures, MOST_RETRY_MS);
      if (live.failures >= 2) lost(error);
    }
  }
  asking = false;
  if (at("login").hidden) live.timer = setTimeout(poll, next);
}
function lost(error) {
  const since = new Date(live.since).toLocaleTimeString();
  const why = error instanceof Refused ? error.message : "the agent does not answer";
  at("status").hidden = false;
  text("status", `No figures since ${since}: ${why}. The page keeps asking.`);
  const answer = live.answer;
  if (answer) show({ ...answer, power: "unknown", watts: null, rails: answer.rails.map((rail) => ({ ...rail, watts: "unknown", volts: "" })) });
  document.title = "energymeter: no answer";
}
function take(answer) { // false: ask again from the start
  const another = answer.agent !== live.agent; // or the same one started again: its columns count from its own start
  live.agent = answer.agent;
  if (another && live.last >= 0) { forget(); return false; }
  Object.assign(live, { source: answer.source, channel: answer.channel, zoom: answer.zoom, widths: answer.widths, answer });
  const { first, seconds, start_unix, bars } = answer.columns;
  live.seconds = seconds;
  live.startUnix = start_unix;
  bars.forEach((bar, place) => live.columns.set(first + place, bar));
  if (bars.length) live.last = first + bars.length - 1;
  for (const number of live.columns.keys()) if (number <= live.last - MOST_COLUMNS || number > live.last) live.columns.delete(number);
  if (!live.paused) { show(answer); draw(); }
  return true;
}
function show(answer) {
  text("power", answer.power);
  document.title = answer.watts === null ? "energymeter" : `${answer.power} · energymeter`;
  const unmeasured = answer.provenance.filter((name) => name !== "measured");
  at("banner").hidden = !unmeasured.length;
  text("banner", unmeasured.length ? `${unmeasured.join(" and ").toUpperCase()}: these figures are no measurements.` : "");
  showChoices(answer);
  fill("facts", answer.facts.map(([name, value]) => {
    const box = document.createElement("div");
    box.append(make("dt", name), make("dd", value));
    return box;
  }));
  const errors = answer.sources.filter((source) => !source.up);
  at("errors").hidden = !errors.length;
  fill("errors", errors.map((source) => make("li", `${source.name} does not answer${source.error ? `: ${source.error}` : ""}`)));
  fill("rails", answer.rails.map((rail) => {
    const name = make("span", rail.channel === rail.source ? rail.channel : `${rail.source}: ${rail.channel}`);
    const what = rail.counted ? rail.place : `${rail.place}, within a total`;
    const line = row([name, rail.watts, rail.joules, rail.volts, rail.measured, String(rail.missed), what], true);
    if (!rail.counted) line.className = "inside";
    return line;
  }));
  at("spans").hidden = !answer.spans.length;
  fill("span-rows", answer.spans.map((cells) => row(cells.map(String), true)));
  at("batteries").hidden = !answer.batteries.length;
  fill("battery-rows", answer.batteries.map((battery) => {
    const box = document.createElement("div");
    const gauge = make("meter", undefined, { min: 0, max: 1, low: 0.2, high: 0.5, optimum: 1, value: battery.share });
    gauge.setAttribute("aria-label", `${battery.kind} ${battery.name}`);
    box.append(make("p", `${battery.name} (${battery.kind})`), gauge, make("p", battery.left), make("p", battery.hours));
    return box;
  }));
  text("version", `energymeter ${answer.version}. This page only reads.`);
  if (live.speak && Date.now() - live.spoken >= SPEAK_MS) {
    live.spoken = Date.now();
    text("spoken", `Power ${answer.power}`);
  }
}
function fill(id, elements) { // replaced only where something changed, so that a selection and a focus stay
  const box = at(id), fresh = document.createElement(box.tagName);
  fresh.append(...elements);
  if (fresh.innerHTML !== box.innerHTML) box.replaceChildren(...fresh.childNodes);
}
function showChoices(answer) {
  const choices = [];
  for (const source of answer.sources) {
    choices.push([`${source.name}\n`, source.name]);
    const rails = answer.rails.filter((rail) => rail.source === source.name);
    if (rails.length > 1) for (const rail of rails) choices.push([`${source.name}\n${rail.channel}`, `${source.name}: ${rail.channel}`]);
  }
  const box = at("shown");
  if (document.activeElement !== box || box.options.length !== choices.length)
    fill("shown", choices.map(([value, name]) => { const option = make("option", name); option.setAttribute("value", value); return option; }));
  box.value = `${answer.source}\n${answer.channel}`;
  const width = live.widths[live.zoom];
  at("shorter").disabled = live.zoom === 0;
  at("longer").disabled = live.zoom === live.widths.length - 1;
  text("span-text", `${duration(shownColumns() * width)}, ${duration(width)} a column`);
}
at("shown").addEventListener("change", () => {
  [live.source, live.channel] = at("shown").value.split("\n");
  forget();
  poll();
});
function zoomBy(steps) {
  live.zoom = Math.min(Math.max(live.zoom + steps, 0), Math.max(live.widths.length - 1, 0));
  kept.set("zoom", live.zoom);
  forget();
  poll();
}
at("shorter").addEventListener("click", () => zoomBy(-1));
at("longer").addEventListener("click", () => zoomBy(1));
function pressed(id, on) { at(id).setAttribute("aria-pressed", String(on)); }
at("pause").addEventListener("click", () => {
  live.paused = !live.paused;
  pressed("pause", live.paused);
  if (!live.paused && live.answer) { show(live.answer); draw(); }
});
at("announce").addEventListener("click", () => {
  live.speak = !live.speak;
  live.spoken = 0;
  pressed("announce", live.speak);
});
at("values").addEventListener("toggle", draw);

// Drawing ----------------------------------------------------------------------------------------

const STEPS = [1, 1.5, 2, 3, 4, 5, 6, 8, 10];
const UNITS = [[1e3, "kW"], [1, "W"], [1e-3, "mW"], [1e-6, "µW"], [1e-9, "nW"]];
function scale(highest) { // top of an axis that begins at 0, and the unit of its labels
  if (!(highest > 0)) return [1, 1, "W"];
  const decade = 10 ** Math.floor(Math.log10(highest));
  const top = decade * (STEPS.find((step) => step * decade >= highest * (1 - 1e-12)) ?? 10);
  const [factor, unit] = UNITS.find(([size]) => top >= size) ?? UNITS[UNITS.length - 1];
  return [top, factor, unit];
}
const figure = (number) => String(Number(number.toPrecision(3)));
function watts(number) {
  if (number === null || number === undefined) return "not measured";
  const [factor, unit] = UNITS.find(([size]) => Math.abs(number) >= size) ?? [1, "W"];
  return `${figure(number / factor)} ${unit}`;
}
function duration(seconds) {
  if (seconds < 120) return `${figure(seconds)} s`;
  if (seconds < 7200) return `${figure(seconds / 60)} min`;
  if (seconds < 172800) return `${figure(seconds / 3600)} h`;
  return `${figure(seconds / 86400)} d`;
}
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

function prepared(canvas) {
  const ratio = window.devicePixelRatio || 1, box = canvas.getBoundingClientRect();
  const [width, height] = [Math.round(box.width * ratio), Math.round(box.height * ratio)];
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, box.width, box.height);
  pen.font = "12px system-ui, sans-serif";
  return [pen, box.width, box.height];
}
const COUNTS = [480, 240, 120, 60, 40, 20], LEFT = 52, BOTTOM = 20, TOP = 10;
function axes(pen, width, height, highest, lowest) {
  const low = Math.min(0, lowest), [top, factor, unit] = scale(Math.max(highest, -low));
  const bottom = low < 0 ? -top : 0, up = (value) => TOP + (height - TOP - BOTTOM) * (1 - (value - bottom) / (top - bottom));
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  for (let tick = 0; tick <= 4; tick += 1) {
    const value = bottom + (top - bottom) * tick / 4, y = Math.round(up(value)) + 0.5;
    pen.strokeStyle = colour("line");
    pen.beginPath();
    pen.moveTo(LEFT, y);
    pen.lineTo(width, y);
    pen.stroke();
    pen.fillStyle = colour("dim");
    pen.fillText(`${figure(value / factor)} ${unit}`, LEFT - 5, y);
  }
  return up;
}
function hatch(pen, x0, x1, y0, y1) { // what was not measured looks like it
  pen.save();
  pen.beginPath();
  pen.rect(x0, y0, x1 - x0, y1 - y0);
  pen.clip();
  pen.strokeStyle = colour("gap");
  pen.lineWidth = 1;
  pen.beginPath();
  for (let x = Math.floor((x0 - (y1 - y0)) / 8) * 8; x < x1; x += 8) {
    pen.moveTo(x, y1);
    pen.lineTo(x + (y1 - y0), y0);
  }
  pen.stroke();
  pen.restore();
}
function shownColumns() {
  const width = at("graph").getBoundingClientRect().width || 600;
  const room = (width - LEFT) / 2.5;
  return COUNTS.find((count) => count <= room) ?? COUNTS[COUNTS.length - 1]; // of which a quarter is a round time
}
function draw() {
  if (at("live").hidden || live.last < 0) return;
  const [pen, width, height] = prepared(at("graph"));
  const count = shownColumns(), first = live.last - count + 1, step = (width - LEFT) / count;
  const bars = Array.from({ length: count }, (_, place) => live.columns.get(first + place));
  const known = bars.filter((bar) => bar && bar[0] !== null);
  const highest = Math.max(0, ...known.map((bar) => Math.max(bar[0], bar[1] ?? bar[0])));
  const up = axes(pen, width, height, highest, Math.min(0, ...known.map((bar) => bar[0])));
  const colours = { mean: colour("mean"), fill: colour("fill"), peak: colour("peak") };
  bars.forEach((bar, place) => {
    const x0 = LEFT + place * step, x1 = x0 + step;
    if (bar === undefined) return; // before the start
    if (bar[0] === null) { hatch(pen, x0, x1 + 0.5, TOP, height - BOTTOM); return; }
    pen.fillStyle = colours.fill;
    pen.fillRect(x0, Math.min(up(bar[0]), up(0)), step + 0.5, Math.abs(up(0) - up(bar[0])));
    if (bar[2] < 0.995) hatch(pen, x0, x1 + 0.5, TOP, up(bar[0]));
    pen.fillStyle = colours.mean;
    pen.fillRect(x0, up(bar[0]) - 1, step + 0.5, 2);
    if (bar[1] !== null && bar[1] > bar[0]) {
      pen.fillStyle = colours.peak;
      pen.fillRect(x0, up(bar[1]) - 0.75, step + 0.5, 1.5);
    }
  });
  pen.fillStyle = colour("dim");
  pen.textBaseline = "alphabetic";
  const marks = width < 500 ? 2 : 4;
  for (let mark = 0; mark <= marks; mark += 1) {
    pen.textAlign = mark === 0 ? "left" : mark === marks ? "right" : "center";
    const ago = (1 - mark / marks) * count * live.seconds;
    pen.fillText(mark === marks ? "now" : `${duration(ago)} ago`, LEFT + (width - LEFT) * mark / marks, height - 5);
  }
  describe(known, count);
  if (at("values").open) fill("values-rows", tableRows());
}
function describe(known, count) {
  const means = known.map((bar) => bar[0]);
  const range = means.length ? `from ${watts(Math.min(...means))} to ${watts(Math.max(...means))}` : "nothing measured";
  at("graph").setAttribute("aria-label", `Power of the last ${duration(count * live.seconds)}: ${range}. The values are in the table below.`);
}
function tableRows() {
  const rows = [];
  for (let number = live.last; number > live.last - 20 && live.columns.has(number); number -= 1) {
    const bar = live.columns.get(number), begin = new Date((live.startUnix + number * live.seconds) * 1000);
    rows.push(row([begin.toLocaleTimeString(), watts(bar[0]), bar[1] === null ? "unknown" : watts(bar[1]), `${Math.round(bar[2] * 100)} %`], true));
  }
  return rows;
}
new ResizeObserver(() => { draw(); drawPlot(); }).observe(at("main"));

// Recordings and comparisons ---------------------------------------------------------------------

let plotted = null;
const when = (unix) => new Date(unix * 1000).toLocaleString();
async function listFiles() {
  let answer;
  try { answer = await ask("/api/recordings"); } catch (error) { complain(error); return; }
  const none = answer.shared ? "There are none in the shared folder." : "No folder is shared: start the agent with --recordings FOLDER.";
  for (const [name, rows] of [["recordings", answer.recordings], ["comparisons", answer.comparisons]]) {
    at(`${name}-none`).hidden = rows.length > 0;
    text(`${name}-none`, rows.length ? "" : none);
  }
  at("recordings-table").hidden = !answer.recordings.length;
  at("recording-rows").replaceChildren(...answer.recordings.map(([name, size, changed]) => {
    const plot = make("button", "Plot", { type: "button" });
    plot.setAttribute("aria-label", `Plot ${name}`);
    plot.addEventListener("click", () => plotFile(name));
    const links = document.createElement("span");
    links.append(plot, " ", make("a", "Download", { href: `/recordings/${encodeURIComponent(name)}`, download: name }),
      " ", make("a", "Report", { href: `/report?file=${encodeURIComponent(name)}`, target: "_blank", rel: "noopener" }));
    return row([name, size, when(changed), links], true);
  }));
  at("comparison-rows").replaceChildren(...answer.comparisons.map(([name, , changed]) => {
    const line = document.createElement("li"), open = make("button", name, { type: "button" });
    open.addEventListener("click", () => compareFolder(name));
    line.append(open, ` ${when(changed)}`);
    return line;
  }));
}
function complain(error) {
  if (error instanceof Refused && error.status === 401) { poll(); return; }
  at("status").hidden = false;
  text("status", error instanceof Refused ? error.message : "The agent does not answer; ask again.");
  setTimeout(() => { if (!live.failures) at("status").hidden = true; }, 8000);
}
async function plotFile(name) {
  text("plot-title", `${name} …`);
  at("plot").hidden = false;
  try { plotted = await ask(`/api/recordings/${encodeURIComponent(name)}`); } catch (error) { at("plot").hidden = true; complain(error); return; }
  text("plot-title", plotted.provenance === "measured" ? name : `${name} (${plotted.provenance.toUpperCase()})`);
  text("plot-usage", plotted.usage);
  at("plot-spans").replaceChildren(...plotted.spans.map((span) => make("li", `${span.name}, ${span.calls} ${span.calls === 1 ? "call" : "calls"}: ${span.usage || "not measured"}`)));
  drawPlot();
}
function drawPlot() {
  if (!plotted || at("plot").hidden || at("recordings").hidden) return;
  const { edges, watts: means, low, high, spans } = plotted;
  const [pen, width, height] = prepared(at("plot-graph"));
  const known = (numbers) => numbers.filter((number) => number !== null);
  const up = axes(pen, width, height, known(high).reduce((a, b) => Math.max(a, b), 0), known(low).reduce((a, b) => Math.min(a, b), 0));
  const start = edges[0], across = (time) => LEFT + (width - LEFT) * (time - start) / (edges[edges.length - 1] - start);
  pen.fillStyle = colour("soft");
  for (const span of spans) for (const [begin, end] of span.windows) pen.fillRect(across(begin), TOP, Math.max(1, across(end) - across(begin)), height - TOP - BOTTOM);
  const peak = colour("peak"), mean = colour("mean");
  means.forEach((value, place) => {
    const x0 = across(edges[place]), x1 = across(edges[place + 1]), thick = Math.max(x1 - x0, 0.75);
    if (value === null) { hatch(pen, x0, x1, TOP, height - BOTTOM); return; }
    if (low[place] !== null && high[place] !== null) {
      pen.globalAlpha = 0.45;
      pen.fillStyle = peak;
      pen.fillRect(x0, up(high[place]), thick, Math.max(1, up(low[place]) - up(high[place])));
      pen.globalAlpha = 1;
    }
    pen.fillStyle = mean;
    pen.fillRect(x0, up(value) - 1, thick, 2);
  });
  pen.fillStyle = colour("dim");
  pen.textBaseline = "alphabetic";
  for (let mark = 0; mark <= 4; mark += 1) {
    pen.textAlign = mark === 0 ? "left" : mark === 4 ? "right" : "center";
    pen.fillText(duration((edges[edges.length - 1] - start) * mark / 4), LEFT + (width - LEFT) * mark / 4, height - 5);
  }
  at("plot-graph").setAttribute("aria-label", `Power of ${plotted.name}. ${plotted.usage}`);
}
async function compareFolder(name) {
  let answer;
  try { answer = await ask(`/api/comparisons/${encodeURIComponent(name)}`); } catch (error) { complain(error); return; }
  at("comparison").hidden = false;
  text("comparison-title", name);
  at("verdicts").replaceChildren(...answer.verdicts.map((verdict) => make("p", verdict, { className: "verdict" })));
  const head = document.createElement("tr");
  head.append(...answer.head.map((title) => make("th", title, { scope: "col" })));
  at("arms-head").replaceChildren(head);
  at("arms").replaceChildren(...answer.rows.map((cells) => row(cells, true)));
  at("comparison-notes").replaceChildren(...answer.notes.map((note) => make("li", note)));
}

// Views ------------------------------------------------------------------------------------------

const VIEWS = ["live", "recordings", "comparisons"];
function showView() {
  const view = VIEWS.includes(location.hash.slice(1)) ? location.hash.slice(1) : "live";
  for (const name of VIEWS) {
    at(name).hidden = name !== view || !at("login").hidden;
    if (name === view) at(`to-${name}`).setAttribute("aria-current", "page");
    else at(`to-${name}`).removeAttribute("aria-current");
  }
  if (view !== "live") listFiles();
  draw();
  drawPlot();
}
window.addEventListener("hashchange", () => { if (location.hash !== "#main") showView(); });
document.addEventListener("visibilitychange", () => { if (!document.hidden) poll(); });
showTheme();
showView();
poll();
