// Kernels of deep networks from enclosed Hermite coefficients, as intervals [low, high].
//
// With c_n = a_n(q11) a_n(q22) the dual is the sum of c_n rho^n over all n. The degrees beyond the
// last, N, add at most sqrt(tail(q11) tail(q22)) |rho|^(N+1) in size (Cauchy-Schwarz); rounding and
// the coefficients' own radii stay below `allowance`. The same holds of q dual_dot, the sum of
// n c_n rho^(n-1). Intervals carry both through the layers.
"use strict";

const interval = (a, b = a) => [Math.min(a, b), Math.max(a, b)];
const add = ([a, b], [c, d]) => [a + c, b + d];
const times = ([a, b], [c, d]) => {
  const all = [a * c, a * d, b * c, b * d];
  return [Math.min(...all), Math.max(...all)];
};
const scaled = ([a, b], s) => interval(a * s, b * s);
const clamped = ([a, b]) => [Math.max(-1, Math.min(1, a)), Math.max(-1, Math.min(1, b))];
const middle = ([a, b]) => (a + b) / 2;
const radius = ([a, b]) => (b - a) / 2;
const size = ([a, b]) => Math.max(Math.abs(a), Math.abs(b));

function power([a, b], n) {
  if (n === 0) return [1, 1];
  if (n % 2 || a >= 0) return [a ** n, b ** n];
  return b <= 0 ? [b ** n, a ** n] : [0, Math.max(a ** n, b ** n)];
}

// The sum of terms[n] rho^n, and of a rest that starts at rho^degree, for rho in an interval.
function series(terms, rho, tail, degree, slack) {
  let [low, high] = [0, 0];
  terms.forEach((term, n) => {
    if (!term) return;
    const [a, b] = power(rho, n);
    low += term * (term > 0 ? a : b);
    high += term * (term > 0 ? b : a);
  });
  const rest = tail * size(rho) ** degree + slack;
  return [low - rest, high + rest];
}

// A layer's phi at variances q11, q22: rho -> dual and q dual_dot, over sqrt of the diagonals.
function layer(e, f, allowance) {
  const terms = e.coefficients.map((a, n) => a * f.coefficients[n]);
  const slopes = terms.map((c, n) => n * c).slice(1);
  const unit = 1 / Math.sqrt(e.square * f.square);
  const tail = Math.sqrt(e.tail * f.tail);
  const smooth = e.slope_tail !== null && f.slope_tail !== null;
  const slopeTail = smooth ? Math.sqrt(e.slope_tail * f.slope_tail) : Infinity;
  const slopeSlack = smooth
    ? allowance * Math.sqrt((e.square + e.slope_square) * (f.square + f.slope_square)) : 0;
  return {
    dual: (rho) => scaled(series(terms, rho, tail, terms.length, allowance / unit), unit),
    slope: (rho) => (smooth
      ? scaled(series(slopes, rho, slopeTail, slopes.length, slopeSlack), unit) : null),
  };
}

// NNGP correlation and NTK after `depth` times phi, LayerNorm between them; ntk is null where phi
// jumps. An NTK is counted in units of the diagonals: the inputs' own is rho.
function network(first, later, depth, rho) {
  let [nngp, ntk] = [interval(rho), interval(rho)];
  for (let d = 0; d < depth; d += 1) {
    const current = d ? later : first;
    const slope = current.slope(nngp);
    nngp = clamped(current.dual(nngp));
    ntk = slope && ntk && add(nngp, times(slope, ntk));
  }
  return { nngp, ntk };
}

// ---- drawing ----

const SVG = "http://www.w3.org/2000/svg";
const BOX = { left: 44, top: 10, right: 350, bottom: 196 }; // PLOT of figure.py

function element(name, attributes, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function frame(x, y) {
  const margin = 0.04 * (y[1] - y[0]) || 1;
  const [low, high] = [y[0] - margin, y[1] + margin];
  return {
    x, y: [low, high],
    across: (v) => BOX.left + ((v - x[0]) / (x[1] - x[0])) * (BOX.right - BOX.left),
    up: (v) => BOX.bottom - ((v - low) / (high - low)) * (BOX.bottom - BOX.top),
  };
}

function ticks([low, high]) {
  const rough = (high - low) / 5;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * unit).find((s) => s >= rough);
  const found = [];
  for (let k = Math.ceil(low / step); k * step <= high; k += 1) found.push(k * step);
  return found;
}

const shown = (v, digits = 4) => String(Number(v.toPrecision(digits))).replace("-", "−");

function axes(place, label) {
  const group = element("g", { class: "axes" });
  for (const v of ticks(place.y)) {
    const y = place.up(v).toFixed(1);
    group.append(element("path", { d: `M${BOX.left} ${y}H${BOX.right}` }),
      element("text", { x: BOX.left - 6, y: Number(y) + 4, "text-anchor": "end" }, shown(v)));
  }
  for (const v of ticks(place.x)) {
    const x = place.across(v).toFixed(1);
    group.append(element("path", { d: `M${x} ${BOX.bottom}v4` }),
      element("text", { x, y: BOX.bottom + 17, "text-anchor": "middle" }, shown(v)));
  }
  const corner = { class: "axis", x: BOX.right, y: BOX.bottom + 31, "text-anchor": "end" };
  group.append(element("text", corner, label));
  return group;
}

const path = (place, points) =>
  `M${points.map(([x, y]) => `${place.across(x).toFixed(1)} ${place.up(y).toFixed(1)}`).join("L")}`;

// A curve over rho with the band of its bound, and a mark at the slider's rho.
function drawKernel(svg, title, rhos, values, at) {
  const known = rhos.map((rho, i) => [rho, values[i]]).filter(([, v]) => v?.every(Number.isFinite));
  svg.replaceChildren();
  if (!known.length) return;
  const middles = known.map(([, v]) => middle(v));
  const [low, high] = [Math.min(0, ...middles), Math.max(0, ...middles)];
  const place = frame([-1, 1], [low, high]);
  const limited = (v) => Math.max(place.y[0], Math.min(place.y[1], v));
  const above = known.map(([x, v]) => [x, limited(v[1])]);
  const below = known.map(([x, v]) => [x, limited(v[0])]);
  svg.append(element("title", {}, title), axes(place, "ρ"),
    element("path", { class: "band s1", d: `${path(place, [...above, ...below.reverse()])}Z` }),
    element("path", { class: "line s1", d: path(place, known.map(([x, v]) => [x, middle(v)])) }),
    element("path", { class: "cursor", d: `M${place.across(at).toFixed(1)} ${BOX.top}V${BOX.bottom}` }));
}

// phi, and how far the Gaussian values reach: one standard deviation to either side.
function drawPhi(svg, pieces, q11, q22) {
  const values = pieces.flat().map((p) => p[1]);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const place = frame([-5, 5], [low - 0.12 * (high - low), high]); // room for the deviations
  const reach = (q, s) => {
    const r = Math.min(5, Math.sqrt(q));
    const [left, right] = [-r, r].map((x) => place.across(x).toFixed(1));
    return element("path", { class: `line s${s}`, d: `M${left} ${BOX.bottom - 6 - 3 * s}H${right}` });
  };
  svg.replaceChildren(element("title", {}, "φ; one standard deviation of u (dashed) and of v (dotted)"),
    axes(place, "x"), ...pieces.map((p) => element("path", { class: "line s1", d: path(place, p) })),
    reach(q11, 0), reach(q22, 2));
}

// ---- the page ----

function figure(parent, caption) {
  const [holder, words] = [document.createElement("figure"), document.createElement("figcaption")];
  const svg = element("svg", { viewBox: "0 0 360 230", role: "img" });
  holder.className = "chart";
  words.textContent = caption;
  holder.append(svg, words);
  parent.append(holder);
  return svg;
}

// [value, bound]: about as many digits as the bound leaves; it covers their rounding and is rounded up.
function certain(v) {
  const kept = 2 - Math.ceil(Math.log10(radius(v) / Math.abs(middle(v))));
  const value = Number(middle(v).toPrecision(Math.max(2, Math.min(15, kept || 2))));
  const error = radius(v) + Math.abs(value - middle(v));
  if (!Number.isFinite(error)) return [shown(value), "unknown"];
  const unit = 10 ** (Math.floor(Math.log10(error)) - 1);
  const above = (Math.ceil(error / unit) * unit).toExponential(1);
  return [String(value), above].map((text) => text.replace("-", "−"));
}

function tableRow(name, v) {
  const row = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  head.textContent = name;
  row.append(head);
  for (const text of certain(v)) {
    const cell = document.createElement("td");
    cell.className = "number";
    cell.textContent = text;
    row.append(cell);
  }
  [row.dataset.low, row.dataset.high] = v;
  return row;
}

function explore(section) {
  const data = JSON.parse(section.querySelector("script").textContent);
  const found = data.enclosures;
  const one = found.findIndex((e) => e.q === 1);
  const inputs = [...section.querySelectorAll("input")];
  for (const input of section.querySelectorAll("[data-q]")) {
    Object.assign(input, { min: 0, max: found.length - 1, step: 1, value: one, disabled: found.length < 2 });
  }
  const later = layer(found[one], found[one], data.allowance);
  const rhos = Array.from({ length: 101 }, (_, k) => -Math.cos((Math.PI * k) / 100));
  const charts = section.querySelector("[data-charts]");
  const phi = data.phi.length && figure(charts, "φ; standard deviations of u (dashed) and of v (dotted).");
  const dual = figure(charts, "The dual after the first φ, over √(k11 k22).");
  const nngp = figure(charts, "NNGP kernel at this depth, as a correlation.");
  const ntk = found[one].slope_tail !== null
    && figure(charts, "NTK at this depth, over the diagonals of the NNGP kernel.");
  const body = section.querySelector("tbody");

  function draw() {
    const [i, j, rho, depth] = inputs.map((input) => Number(input.value));
    const [e, f] = [found[i], found[j]];
    [shown(e.q, 3), shown(f.q, 3), shown(rho, 3), String(depth)].forEach((text, k) => {
      inputs[k].nextElementSibling.value = text;
      inputs[k].setAttribute("aria-valuetext", text);
    });
    const first = layer(e, f, data.allowance);
    const values = rhos.map((r) => network(first, later, depth, r));
    if (phi) drawPhi(phi, data.phi, e.q, f.q);
    drawKernel(dual, "the dual over ρ", rhos, rhos.map((r) => first.dual(interval(r))), rho);
    drawKernel(nngp, "the NNGP kernel over ρ", rhos, values.map((v) => v.nngp), rho);
    if (ntk) drawKernel(ntk, "the NTK over ρ", rhos, values.map((v) => v.ntk), rho);
    const here = network(first, later, depth, rho);
    const dualHere = scaled(first.dual(interval(rho)), Math.sqrt(e.square * f.square));
    const rows = [tableRow("dual", dualHere), tableRow("NNGP", here.nngp)];
    body.replaceChildren(...rows, ...(here.ntk ? [tableRow("NTK", here.ntk)] : []));
  }
  section.hidden = false;
  section.addEventListener("input", draw);
  draw();
}

for (const section of document.querySelectorAll("[data-explorer]")) explore(section);
