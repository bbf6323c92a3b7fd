"use strict";
(() => {
  const record = JSON.parse(document.getElementById("record").textContent);
  const TOP = 65000, ZERO = 65533, BAD = 65534, END = 65535;
  const LEFT = 46, RIGHT = 10, ABOVE = 8, BELOW = 30;

  // --- numbers and words ---

  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const codes = (text) => { const b = bytes(text); return Uint16Array.from({ length: b.length / 2 }, (_, k) => b[2 * k] | (b[2 * k + 1] << 8)); };
  const power = (k) => "10" + String(k).replace(/./g, (c) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[c] ?? "⁻");
  const said = (x) => x === null || Number.isNaN(x) ? "–" : x === 0 ? "0"
    : Math.abs(x) >= 0.01 && Math.abs(x) < 1000 ? x.toPrecision(3) : x.toExponential(1).replace("e+", "e");
  /** On an axis: as short as it goes. */
  const mark = (x) => x >= 0.001 && x < 10000 ? String(+x.toPrecision(3)) : said(x);
  const from = (first, wide, last) => wide > 1 && first < last ? `${first}–${Math.min(first + wide - 1, last)}` : `${first}`;

  for (const state of record.states) {
    for (const path in state.tables) state.tables[path] = codes(state.tables[path]);
    state.rows = state.tables[""].length / state.columns;
  }
  for (const look of record.looks) for (const name in look.seen) look.seen[name].shades = bytes(look.seen[name].shades);

  /** The logarithm that a code stands for. */
  const log = (state, code) => code > TOP ? NaN : state.span[0] + (state.span[1] - state.span[0]) * code / TOP;
  const spoken = (state, code) => code === ZERO ? "0" : code === BAD ? "no number" : code === END ? "no step"
    : said(10 ** log(state, code));

  // --- colours ---

  const ramp = (stops) => (u) => {
    const at = Math.max(0, Math.min(1, u)) * (stops.length - 1), k = Math.min(Math.floor(at), stops.length - 2);
    return stops[k].map((low, j) => Math.round(low + (stops[k + 1][j] - low) * (at - k)));
  };
  const heat = ramp([[48, 18, 78], [59, 55, 130], [46, 94, 143], [34, 130, 142], [38, 164, 130], [98, 196, 98], [186, 221, 60], [253, 238, 110]]);
  // What is near zero looks like the paper.
  const signed = {
    light: ramp([[18, 74, 140], [70, 140, 205], [252, 251, 248], [236, 140, 60], [150, 62, 10]]),
    dark: ramp([[120, 190, 255], [38, 104, 180], [20, 23, 26], [180, 84, 24], [255, 180, 110]]),
  };
  const night = matchMedia("(prefers-color-scheme: dark)");
  const lost = [209, 23, 58];

  // --- drawing ---

  const add = (parent, kind, attributes = {}, text = "") => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", kind);
    for (const name in attributes) made.setAttribute(name, attributes[name]);
    if (text) made.textContent = text;
    return parent.appendChild(made);
  };
  const blank = (plot) => {
    plot.replaceChildren();
    const width = plot.clientWidth, height = plot.clientHeight;
    return { svg: add(plot, "svg", { width, height, "aria-hidden": "true" }), width, height };
  };
  const ticks = (low, high, most) => {
    const rough = (high - low) / Math.max(1, most);
    const size = 10 ** Math.floor(Math.log10(rough || 1));
    const step = [1, 2, 5, 10].map((k) => k * size).find((s) => s >= rough) ?? size;
    const found = [];
    for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) found.push(+(k * step).toPrecision(12));
    return found;
  };
  /** Those of some marks whose places do not come too near to the one before. */
  const apart = (marks, place, least) => {
    let at = -Infinity;
    return marks.filter((mark) => { const near = place(mark) - at < least; if (!near) at = place(mark); return !near; });
  };
  const whole = (low, high, most) => ticks(low, high, most).filter(Number.isInteger);
  /** Numbers in a row as an image, stretched over a box. */
  const image = (svg, columns, rows, colour, box) => {
    const canvas = document.createElement("canvas");
    canvas.width = columns; canvas.height = rows;
    const context = canvas.getContext("2d"), data = context.createImageData(columns, rows);
    for (let k = 0; k < columns * rows; k++) {
      const c = colour(k);
      if (c) data.data.set([...c, 255], 4 * k);
    }
    context.putImageData(data, 0, 0);
    add(svg, "rect", { ...box, class: "frame" });
    add(svg, "image", { ...box, preserveAspectRatio: "none", href: canvas.toDataURL() });
  };
  const time = (svg, x, steps, width, height, name = "time t") => {
    for (const t of whole(0, steps - 1, width / 70)) add(svg, "text", { x: x(t), y: height - 15, "text-anchor": "middle" }, String(t));
    add(svg, "text", { x: width - RIGHT, y: height - 4, "text-anchor": "end" }, name);
  };

  // --- what is shown ---

  const slider = document.getElementById("step"), mean = document.getElementById("mean"), at = document.getElementById("at");
  const rows = Math.max(...record.states.map((s) => s.rows));
  const row = () => slider ? +slider.value : 0;
  const averaged = () => mean?.checked ?? true;
  const tall = record.tall, numbers = record.numbers, last = numbers.at(-1)[1];
  /** The training steps of a row of the tables, and which row a training step is in, with its fraction. */
  const stepsOf = (r) => numbers[r][0] === numbers[r][1] ? `${numbers[r][0]}` : `${numbers[r][0]}–${numbers[r][1]}`;
  const among = (firsts, n) => {
    const r = Math.max(0, firsts.findLastIndex((first) => first <= n)), next = firsts[r + 1];
    return next === undefined ? r : r + (n - firsts[r]) / (next - firsts[r]);
  };
  /** Round training steps for an axis, and the first. */
  const rounds = (firsts, until, most) => [...new Set([firsts[0], ...whole(firsts[0], until, most)])];
  const quarter = Math.max(1, Math.floor(record.steps / 4));

  /** A state's norm at a column, by path: at the training step that is shown, or the mean of the last quarter. */
  const norm = (state, path, c) => {
    if (averaged()) return state.late[path][c] ?? NaN;
    const code = state.tables[path][Math.min(row(), state.rows - 1) * state.columns + c];
    return code === ZERO ? 0 : 10 ** log(state, code);
  };

  /** Over training and time; the row that is shown is framed. */
  function overTraining(figure) {
    const state = record.states[figure.dataset.state], plot = figure.querySelector(".heat");
    const { svg, width, height } = blank(plot), table = state.tables[""], [low, high] = state.shown;
    const w = width - LEFT - RIGHT, h = height - ABOVE - BELOW;
    image(svg, state.columns, state.rows, (k) => {
      const code = table[k];
      return code === ZERO || code === END ? null : code === BAD ? lost : heat((log(state, code) - low) / (high - low));
    }, { x: LEFT, y: ABOVE, width: w, height: h });
    const x = (t) => LEFT + (t / state.wide + 0.5) * w / state.columns;
    time(svg, x, state.steps, width, height);
    const firsts = numbers.map(([first]) => first);
    for (const n of apart(rounds(firsts, last, h / 45), (n) => among(firsts, n) * h / state.rows, 16)) {
      const y = ABOVE + (among(firsts, n) + 0.5) * h / state.rows;
      add(svg, "text", { x: LEFT - 6, y: Math.min(y + 4, height - BELOW), "text-anchor": "end" }, String(n));
    }
    const frame = add(svg, "rect", { class: "here", x: LEFT - 1, width: w + 2 });
    const place = () => {
      const first = averaged() ? Math.floor((record.steps - quarter) / state.tall) : Math.min(row(), state.rows - 1);
      const last = averaged() ? state.rows - 1 : first;
      frame.setAttribute("y", ABOVE + first * h / state.rows);
      frame.setAttribute("height", Math.max(2, (last - first + 1) * h / state.rows));
    };
    scale(figure.querySelector(".scale"), state);
    const readout = figure.querySelector(".readout");
    const where = (event) => {
      const box = plot.getBoundingClientRect();
      const c = Math.floor((event.clientX - box.left - LEFT) / w * state.columns), r = Math.floor((event.clientY - box.top - ABOVE) / h * state.rows);
      return c >= 0 && c < state.columns && r >= 0 && r < state.rows ? [r, c] : null;
    };
    plot.onpointermove = (event) => {
      const found = where(event);
      readout.textContent = found ? `step ${stepsOf(found[0])}, t = ${from(found[1] * state.wide, state.wide, state.steps - 1)}: ${spoken(state, table[found[0] * state.columns + found[1]])}` : "";
    };
    plot.onpointerleave = () => { readout.textContent = ""; };
    plot.onclick = (event) => {
      const found = where(event);
      if (found && slider) { slider.value = found[0]; mean.checked = false; show(); }
    };
    return place;
  }

  function scale(plot, state) {
    const { svg, width } = blank(plot), [low, high] = state.shown, steps = 64;
    const w = Math.min(width - LEFT - RIGHT, 320), [least, most] = state.span;
    image(svg, steps, 1, (k) => heat(k / (steps - 1)), { x: LEFT, y: 4, width: w, height: 10 });
    const marks = whole(Math.ceil(low), Math.floor(high), 5).map((k) => [k, power(k)]);
    const ends = [[low, mark(10 ** low), "start"], [high, mark(10 ** high), "end"]];
    for (const [k, text, anchor = "middle"] of marks.length > 1 ? marks : ends) {
      add(svg, "text", { x: LEFT + (k - low) / (high - low) * w, y: 28, "text-anchor": anchor }, text);
    }
    const cut = [least < low - 0.01 ? `down to ${said(10 ** least)}` : "", most > high + 0.01 ? `up to ${said(10 ** most)}` : ""].filter(Boolean);
    if (cut.length) add(svg, "text", { x: LEFT, y: 44 }, `measured ${cut.join(" and ")}`);
  }

  /** Over time, by path. Gaps are zeros and what is no number; the scale is the same for every training step. */
  function overTime(figure) {
    const state = record.states[figure.dataset.paths], plot = figure.querySelector(".lines");
    const readout = figure.querySelector(".readout"), names = Object.keys(state.tables);
    const { svg, width, height } = blank(plot), w = width - LEFT - RIGHT, h = height - ABOVE - BELOW;
    const low = Math.max(state.span[0], state.shown[0] - 2) - 0.1, high = Math.min(state.span[1], state.shown[1] + 2) + 0.1;
    const x = (c) => LEFT + (c + 0.5) * w / state.columns, y = (l) => ABOVE + (high - l) / (high - low) * h;
    let marks = whole(low, high, h / 32);
    const few = marks.length < 2;
    if (few) marks = ticks(10 ** low, 10 ** high, 4).filter((v) => v > 0).map(Math.log10);
    for (const k of marks) {
      add(svg, "line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(k), y2: y(k) });
      add(svg, "text", { x: LEFT - 6, y: y(k) + 4, "text-anchor": "end" }, few ? mark(10 ** k) : power(k));
    }
    time(svg, (t) => x(t / state.wide), state.steps, width, height);
    const value = (path, c) => { const v = norm(state, path, c); return v > 0 ? Math.log10(v) : NaN; };
    const drawn = names.map((_, k) => add(svg, "path", { class: `s${k % 8}` }));
    const dots = names.map((_, k) => add(svg, "path", { class: `s${k % 8} dot` }));
    svg.appendChild(drawn[0]); // the whole above its parts
    const place = () => names.forEach((path, k) => {
      let way = "", alone = "";
      const values = Array.from({ length: state.columns }, (_, c) => value(path, c));
      const seen = (c) => Number.isFinite(values[c]) && values[c] > low - 3;
      for (let c = 0; c < state.columns; c++) {
        if (!seen(c)) continue;
        const [across, down] = [x(c).toFixed(1), Math.min(y(values[c]), height).toFixed(1)];
        if (seen(c - 1) || seen(c + 1)) way += `${seen(c - 1) ? "L" : "M"}${across} ${down}`;
        else alone += `M${across} ${down}m-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0-7 0`; // a point that is no line
      }
      drawn[k].setAttribute("d", way);
      dots[k].setAttribute("d", alone);
    });
    plot.onpointermove = (event) => {
      const c = Math.floor((event.clientX - plot.getBoundingClientRect().left - LEFT) / w * state.columns);
      readout.textContent = c < 0 || c >= state.columns ? "" : `t = ${from(c * state.wide, state.wide, state.steps - 1)}: ` +
        names.map((p) => [p || "whole", value(p, c)]).filter(([, v]) => Number.isFinite(v)).sort((a, b) => b[1] - a[1]).slice(0, 3)
          .map(([p, v]) => `${p} ${said(10 ** v)}`).join(", ");
    };
    plot.onpointerleave = () => { readout.textContent = ""; };
    return place;
  }

  /** A number over training; on a logarithmic scale where it goes over two decades. */
  function course(figure) {
    const { values, steps } = record.scalars[figure.dataset.scalar], plot = figure.querySelector(".plot");
    const readout = figure.querySelector(".readout"), { svg, width, height } = blank(plot);
    const there = values.filter((v) => v !== null), least = Math.min(...there), most = Math.max(...there);
    const logs = least > 0 && most / least > 100, f = logs ? Math.log10 : (v) => v;
    let low = f(least), high = f(most);
    if (!there.length || high === low) { low = (low || 0) - 1; high = low + 2; }
    const w = width - LEFT - RIGHT, h = height - ABOVE - BELOW;
    const x = (k) => LEFT + (k + 0.5) * w / values.length, y = (v) => ABOVE + (high - v) / (high - low) * h;
    for (const v of logs ? whole(low, high, h / 32) : ticks(low, high, h / 36)) {
      add(svg, "line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(v), y2: y(v) });
      add(svg, "text", { x: LEFT - 6, y: y(v) + 4, "text-anchor": "end" }, logs ? power(v) : String(v));
    }
    const count = Math.max(steps.at(-1), last);
    for (const n of apart(rounds(steps, count, width / 80), (n) => x(among(steps, n)), 30)) add(svg, "text", { x: x(among(steps, n)), y: height - 15, "text-anchor": "middle" }, String(n));
    add(svg, "text", { x: width - RIGHT, y: height - 4, "text-anchor": "end" }, "training step");
    const here = add(svg, "line", { class: "here", y1: ABOVE, y2: ABOVE + h });
    let way = "", pen = false;
    values.forEach((v, k) => {
      if (v !== null) way += `${pen ? "L" : "M"}${x(k).toFixed(1)} ${y(f(v)).toFixed(1)}${pen ? "" : "h0"}`;
      pen = v !== null;
    });
    add(svg, "path", { class: "s0", d: way });
    const chosen = () => Math.min(values.length - 1, Math.floor(among(steps, numbers[row()][0])));
    const place = () => {
      const hidden = averaged() || record.steps < 2;
      here.setAttribute("visibility", hidden ? "hidden" : "visible");
      here.setAttribute("x1", x(chosen())); here.setAttribute("x2", x(chosen()));
      readout.textContent = hidden ? `at the end ${said(values.at(-1))}` : said(values[chosen()]);
    };
    return place;
  }

  /** Gates, states and gradients of a layer over the same time: of the last look at or before the training step shown. */
  function through(figure) {
    const { layer, gates, states, gradients } = record.through[figure.dataset.through];
    const plot = figure.querySelector(".plot"), readout = figure.querySelector(".readout");
    const own = record.looks.filter((look) => [...gates, ...states].some((n) => look.seen[n]));
    const lines = gradients.map((k) => record.states[k]);
    const short = (name) => layer && name.startsWith(layer + ".") ? name.slice(layer.length + 1) : name;
    const until = () => averaged() ? record.steps : Math.min(record.steps, (row() + 1) * tall);
    return () => {
      const look = own.filter((l) => l.step <= until()).at(-1) ?? own[0];
      const strips = [...gates, ...states].filter((n) => look.seen[n]).map((name) => ({ name, gate: gates.includes(name), ...look.seen[name] }));
      const steps = Math.max(...strips.map((s) => s.steps), ...lines.map((s) => s.steps));
      const tallness = (s) => s.units > 1 ? Math.max(30, Math.min(96, 5 * s.units)) : 44;
      const LABEL = 25, GRADIENT = 150;
      plot.style.height = `${strips.reduce((sum, s) => sum + LABEL + tallness(s), ABOVE) + LABEL + GRADIENT + BELOW}px`;
      const { svg, width, height } = blank(plot), w = width - LEFT - RIGHT, x = (t) => LEFT + (t + 0.5) * w / steps;
      let top = ABOVE;
      const words = (text) => add(svg, "text", { x: LEFT, y: top + LABEL - 6 }, text);
      for (const s of strips) {
        words(s.gate ? `gate ${short(s.name)}: ${look.said[s.name]}` : `state ${short(s.name)}, ±${said(s.most)}`);
        top += LABEL;
        strip(svg, s, { top, height: tallness(s), width: w, steps, x });
        top += tallness(s);
      }
      words("norm of the gradient");
      top += LABEL;
      gradient(svg, lines, { top, height: GRADIENT, width, x });
      time(svg, x, steps, width, height);
      const cursor = add(svg, "line", { class: "here", y1: ABOVE, y2: height - BELOW, visibility: "hidden" });
      const idle = () => { cursor.setAttribute("visibility", "hidden"); readout.textContent = look.step ? `at training step ${look.number}` : "before training"; };
      plot.onpointermove = (event) => {
        const t = Math.floor((event.clientX - plot.getBoundingClientRect().left - LEFT) / w * steps);
        if (t < 0 || t >= steps) return idle();
        cursor.setAttribute("x1", x(t)); cursor.setAttribute("x2", x(t)); cursor.setAttribute("visibility", "visible");
        const now = strips.filter((s) => t < s.steps && (s.gate || s.units === 1)).map((s) => `${short(s.name)} ${said(level(s, Math.floor(t / s.wide)))}`);
        const come = lines.filter((s) => t < s.steps).map((s) => `∂${short(s.name)} ${said(norm(s, "", Math.floor(t / s.wide)))}`);
        readout.textContent = `t = ${t}: ${[...now, ...come].join(", ")}`;
      };
      plot.onpointerleave = idle;
      idle();
    };
  }

  /** What a gate or a state is at a column, the mean of its units. */
  function level(s, c) {
    let sum = 0;
    for (let u = 0; u < s.units; u++) sum += s.shades[u * s.columns + c] / 254;
    return s.gate ? sum / s.units : (2 * sum / s.units - 1) * s.most;
  }

  /** A gate or a state: one unit as a line, several as rows of colours. */
  function strip(svg, s, { top, height, width, steps, x }) {
    if (s.units === 1) {
      for (const [share, text] of s.gate ? [[0, "0"], [1, "1"]] : [[0, ""], [0.5, "0"], [1, ""]]) {
        const y = top + 2 + (1 - share) * (height - 4);
        add(svg, "line", { class: "grid", x1: LEFT, x2: LEFT + width, y1: y, y2: y });
        add(svg, "text", { x: LEFT - 6, y: y + 4, "text-anchor": "end" }, text);
      }
      let way = "";
      for (let c = 0; c < s.columns; c++) {
        if (s.shades[c] !== 255) way += `${way ? "L" : "M"}${x(c * s.wide).toFixed(1)} ${(top + 2 + (1 - s.shades[c] / 254) * (height - 4)).toFixed(1)}`;
      }
      add(svg, "path", { class: "s0", d: way });
      return;
    }
    const colour = s.gate ? heat : signed[night.matches ? "dark" : "light"];
    const inside = add(svg, "svg", { x: LEFT, y: top, width, height }); // the last column may stand for steps past the end
    image(inside, s.columns, s.units, (k) => s.shades[k] === 255 ? lost : colour(s.shades[k] / 254), { x: 0, y: 0, width: s.columns * s.wide * width / steps, height });
    for (const n of [1, s.units]) add(svg, "text", { x: LEFT - 6, y: top + (n - 0.5) * height / s.units + 4, "text-anchor": "end" }, String(n));
  }

  /** Norms of whole gradients over time, on one logarithmic scale for all of training. */
  function gradient(svg, lines, { top, height, width, x }) {
    const high = Math.max(...lines.map((s) => s.shown[1])) + 0.1, low = Math.max(Math.min(...lines.map((s) => s.shown[0])), high - 12) - 0.1;
    const y = (l) => top + (high - l) / (high - low) * height, marks = whole(low, high, height / 26);
    const few = marks.length < 2;
    for (const k of few ? ticks(10 ** low, 10 ** high, 4).filter((v) => v > 0).map(Math.log10) : marks) {
      add(svg, "line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(k), y2: y(k) });
      add(svg, "text", { x: LEFT - 6, y: y(k) + 4, "text-anchor": "end" }, few ? mark(10 ** k) : power(k));
    }
    const inside = add(svg, "svg", { x: 0, y: top, width, height });
    lines.forEach((s, j) => {
      let way = "", pen = false;
      for (let c = 0; c < s.columns; c++) {
        const v = Math.log10(norm(s, "", c)), there = Number.isFinite(v);
        if (there) way += `${pen ? "L" : "M"}${x(c * s.wide).toFixed(1)} ${(y(Math.max(v, low - 3)) - top).toFixed(1)}${pen ? "" : "h0"}`;
        pen = there;
      }
      add(inside, "path", { class: `s${j % 8}`, d: way });
    });
  }

  let places = [];
  function show() {
    if (slider) {
      at.textContent = averaged() ? (record.quarter < last ? `${record.quarter}–${last}` : `${last}`) : `${stepsOf(row())} of ${last}`;
      slider.setAttribute("aria-valuetext", averaged() ? `mean of the training steps ${record.quarter} to ${last}` : `training step ${stepsOf(row())} of ${last}`);
    }
    for (const place of places) place();
  }
  function draw() {
    places = [
      ...[...document.querySelectorAll("[data-state]")].map(overTraining),
      ...[...document.querySelectorAll("[data-paths]")].map(overTime),
      ...[...document.querySelectorAll("[data-scalar]")].map(course),
      ...[...document.querySelectorAll("[data-through]")].map(through),
    ];
    show();
  }
  if (slider) {
    slider.max = rows - 1;
    slider.disabled = mean.disabled = false;
    slider.addEventListener("input", () => { mean.checked = false; show(); });
    mean.addEventListener("change", show);
  }
  night.addEventListener("change", show);
  let width = 0;
  new ResizeObserver(() => {
    const now = document.body.clientWidth;
    if (now !== width && now > 2 * LEFT) { width = now; draw(); } // narrower there is no room for a picture
  }).observe(document.body);
})();
