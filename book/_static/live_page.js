/* The interactive page: reads the controls, computes with live_model.js, draws four pictures. */

(() => {
  const root = document.getElementById("live");
  if (!root || typeof LIVE === "undefined") return;
  const COLOUR = { ann: "#0173b2", snn: "#b35900", grid: "#949494", ink: "#222222", off: "#e3e3e3" };
  const STEPS = [4, 6, 8, 10, 12, 16, 20, 30, 50, 100, 150, 200, 300];
  const HZ = [20, 50, 100, 200, 300, 500, 800];
  const MOST_DIGITS = 20;
  const draws = LIVE.dropped_from[0].length;
  const field = (name) => root.querySelector(`[name="${name}"]`);
  const chosen = (name) => root.querySelector(`[name="${name}"]:checked`).value;
  const say = (name, text) => {
    root.querySelector(`output[for="live-${name}"]`).textContent = text;
    field(name).setAttribute("aria-valuetext", text);
  };
  const mean = (a) => a.reduce((x, y) => x + y, 0) / a.length;
  const spread = (a) => {
    const middle = mean(a);
    return [middle, Math.sqrt(mean(a.map((x) => (x - middle) ** 2)))];
  };

  const molar = (log10) => {
    const units = [[-3, "mM"], [-6, "µM"], [-9, "nM"], [-12, "pM"]];
    const [power, unit] = units.find(([at]) => log10 >= at) || units[3];
    return `${(10 ** (log10 - power)).toPrecision(2)} ${unit}`;
  };

  /** Sliders stand on positions of a list; set where they start. */
  function prepare() {
    const set = (name, list, start) => {
      field(name).max = list.length - 1;
      field(name).value = list.indexOf(start);
    };
    set("rate", LIVE.rates, LIVE.start.rate);
    set("steps", STEPS, LIVE.start.steps);
    set("hz", HZ, LIVE.start.hz);
    set("dose", LIVE.doses, LIVE.doses[LIVE.doses.length >> 1]);
    field("draw").max = draws - 1;
    root.querySelectorAll(".live-drug").forEach((node, i) => (node.textContent = LIVE.drugs[i]));
  }

  function settings() {
    const neuron = chosen("neuron"), windowed = LIVE.windowed.includes(neuron);
    let steps = STEPS[field("steps").value];
    if (neuron === "radix") steps = Math.min(steps, MOST_DIGITS);
    const now = {
      neuron, steps, windowed,
      hz: HZ[field("hz").value],
      rate: LIVE.rates[field("rate").value],
      hold: chosen("hold"),
      dose: +field("dose").value,
      draw: +field("draw").value,
    };
    now.settle = windowed ? 0 : Math.floor(steps / 5);
    // Redrawing at every step needs neurons that fire while they integrate.
    root.querySelector('[name="hold"][value="step"]').disabled = windowed;
    if (windowed && now.hold === "step") {
      root.querySelector('[name="hold"][value="presentation"]').checked = true;
      now.hold = "presentation";
    }
    field("hz").disabled = windowed;
    say("rate", `${Math.round(100 * now.rate)} %`);
    say("steps", neuron === "radix" ? `${steps} binary digits` : `${steps}`);
    say("hz", windowed ? "set by the window" : `${now.hz} Hz`);
    say("dose", molar(LIVE.doses[now.dose]));
    say("draw", `${now.draw}`);
    return now;
  }

  const bands = new Map(); // the artificial network along all doses, by rate

  function band(rate) {
    if (!bands.has(rate)) {
      const masks = Array.from({ length: draws }, (_, draw) => live.masks(draw, rate));
      bands.set(rate, LIVE.doses.map((_, dose) => spread(masks.map((m) => live.ann(dose, m)))));
    }
    return bands.get(rate);
  }

  /** All draws of both networks at one dose, and the artificial one along all doses. */
  function compute(now) {
    const ann = [], snn = [], gaps = [], first = live.first(now.dose, now);
    let shown, spikes = 0;
    for (let draw = 0; draw < draws; draw++) {
      const masks = live.masks(draw, now.rate);
      ann.push(live.ann(now.dose, masks));
      const run = live.present(now, first, live.held(now.hold, draw, now.rate));
      snn.push(run.mean);
      gaps.push(Math.abs(run.mean - ann[draw]));
      spikes += run.counts.reduce((n, layer) => n + layer.reduce((a, b) => a + b, 0), 0);
      if (draw === now.draw) shown = run;
    }
    return { ann, snn, shown, curve: band(now.rate), spikes: spikes / draws, gap: mean(gaps) };
  }

  /** Clear a canvas, draw its axes, and return how to place points. */
  function axes(name, x, y, xlabel, ylabel, yticks) {
    const canvas = root.querySelector(`#live-${name}`), context = canvas.getContext("2d");
    const dense = window.devicePixelRatio || 1;
    const width = canvas.clientWidth, height = canvas.clientHeight;
    canvas.width = width * dense;
    canvas.height = height * dense;
    context.setTransform(dense, 0, 0, dense, 0, 0);
    context.fillStyle = "#ffffff";
    context.fillRect(0, 0, width, height);
    const box = { left: 56, right: width - 12, top: 12, bottom: height - 42 };
    const px = (v) => box.left + ((v - x[0]) / (x[1] - x[0])) * (box.right - box.left);
    const py = (v) => box.bottom - ((v - y[0]) / (y[1] - y[0])) * (box.bottom - box.top);
    context.font = "13px sans-serif";
    context.fillStyle = COLOUR.ink;
    context.strokeStyle = COLOUR.ink;
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(box.left, box.top);
    context.lineTo(box.left, box.bottom);
    context.lineTo(box.right, box.bottom);
    context.stroke();
    context.textAlign = "center";
    for (const tick of ticks(x)) context.fillText(tick, px(tick), box.bottom + 16);
    context.fillText(xlabel, (box.left + box.right) / 2, height - 8);
    context.textAlign = "right";
    for (const tick of yticks || ticks(y)) context.fillText(tick, box.left - 6, py(tick) + 4);
    context.save();
    context.translate(14, (box.top + box.bottom) / 2);
    context.rotate(-Math.PI / 2);
    context.textAlign = "center";
    context.fillText(ylabel, 0, 0);
    context.restore();
    const line = (points, colour, thick = 2, dash = []) => {
      context.strokeStyle = colour;
      context.lineWidth = thick;
      context.setLineDash(dash);
      context.beginPath();
      points.forEach(([a, b], i) => context[i ? "lineTo" : "moveTo"](px(a), py(b)));
      context.stroke();
      context.setLineDash([]);
    };
    const area = (points, colour, opacity) => {
      context.globalAlpha = opacity;
      context.fillStyle = colour;
      context.beginPath();
      points.forEach(([a, b], i) => context[i ? "lineTo" : "moveTo"](px(a), py(b)));
      context.fill();
      context.globalAlpha = 1;
    };
    const label = (text, colour, row) => {
      context.fillStyle = colour;
      context.textAlign = "right";
      context.fillText(text, box.right - 4, box.top + 12 + 17 * row);
    };
    return { canvas, context, px, py, line, area, label };
  }

  /** Round numbers in a range, three to six of them. */
  function ticks([from, to]) {
    const rough = (to - from) / 5, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
    const places = Math.max(0, -Math.floor(Math.log10(step)));
    const out = [];
    for (let v = Math.ceil(from / step) * step; v <= to + 1e-9; v += step) out.push(+v.toFixed(places));
    return out;
  }

  function drawRaster(now, { shown }) {
    const units = LIVE.tops.fires.map((_, l) => shown.counts[l].length);
    const total = units.reduce((a, b) => a + b, 0);
    const plot = axes("raster", [0, now.steps], [total, 0], "time step", "neuron");
    const { context, px, py } = plot;
    const tall = Math.max(py(1) - py(0), 1), wide = Math.max(px(1) - px(0), 1);
    const masks = live.masks(now.draw, now.rate);
    let row = 0;
    shown.spikes.forEach((layer, l) => {
      for (let i = 0; i < units[l]; i++, row++) {
        if (now.hold === "presentation" && masks[l][i] === 0) {
          context.fillStyle = COLOUR.off;
          context.fillRect(px(0), py(row), px(now.steps) - px(0), tall);
        }
        context.fillStyle = l ? COLOUR.ink : COLOUR.ann;
        for (let t = 0; t < now.steps; t++) {
          if (layer[t * units[l] + i] === 0) continue;
          context.fillRect(px(t), py(row) + 0.5, Math.max(wide - 0.5, 1), Math.max(tall - 1, 1));
        }
      }
    });
  }

  function drawReadout(now, { shown, ann }) {
    const running = [];
    let sum = 0;
    shown.readout.forEach((y, t) => {
      if (t < now.settle) return;
      sum += y;
      running.push([t + 1, sum / (t + 1 - now.settle)]);
    });
    const target = ann[now.draw], values = running.map(([, y]) => y).concat(target);
    const middle = target, far = Math.max(0.05, ...values.map((y) => Math.abs(y - middle)));
    const shownFar = Math.min(far, 1.5);
    const plot = axes("readout", [0, now.steps], [middle - shownFar * 1.1, middle + shownFar * 1.1],
      "time step", "growth (fraction)");
    plot.line([[0, target], [now.steps, target]], COLOUR.ann, 2, [6, 4]);
    plot.line(running, COLOUR.snn);
    plot.label("ANN, same mask", COLOUR.ann, 0);
    plot.label("SNN, mean so far", COLOUR.snn, 1);
  }

  function density(values, grid, width) {
    return grid.map((g) => [g, mean(values.map((v) =>
      Math.exp(-0.5 * ((g - v) / width) ** 2) / (width * Math.sqrt(2 * Math.PI))))]);
  }

  function drawDensities(now, { ann, snn }) {
    const [middle, wide] = spread(ann), [middleSnn, wideSnn] = spread(snn);
    const reach = 4 * Math.max(wide, wideSnn, 0.01);
    const from = Math.min(middle, middleSnn) - reach, to = Math.max(middle, middleSnn) + reach;
    const grid = Array.from({ length: 121 }, (_, i) => from + ((to - from) * i) / 120);
    const scott = draws ** -0.2;
    const left = density(ann, grid, scott * Math.max(wide, 0.004));
    const right = density(snn, grid, scott * Math.max(wideSnn, 0.004));
    const top = Math.max(...left.concat(right).map(([, p]) => p)) * 1.25;
    const plot = axes("densities", [from, to], [0, top], "growth (fraction)", "density");
    plot.area([[from, 0], ...left, [to, 0]], COLOUR.ann, 0.3);
    plot.line(left, COLOUR.ann);
    plot.line(right, COLOUR.snn);
    plot.label("ANN", COLOUR.ann, 0);
    plot.label(now.hold === "step" ? "SNN, masks redrawn" : "SNN", COLOUR.snn, 1);
  }

  function drawCurve(now, { curve, snn }) {
    const doses = LIVE.doses, [middle, wide] = spread(snn);
    const low = curve.map(([m, s]) => m - 2 * s), high = curve.map(([m, s]) => m + 2 * s);
    const from = Math.min(...low, middle - 2 * wide), to = Math.max(...high, middle + 2 * wide);
    const room = 0.08 * (to - from) + 0.01;
    const plot = axes("curve", [doses[0], doses[doses.length - 1]], [from - room, to + room],
      "log10 dose (molar)", "growth (fraction)");
    plot.area([...doses.map((d, i) => [d, high[i]]), ...doses.map((d, i) => [d, low[i]]).reverse()],
      COLOUR.ann, 0.25);
    plot.line(doses.map((d, i) => [d, curve[i][0]]), COLOUR.ann);
    const at = doses[now.dose];
    plot.line([[at, middle - 2 * wide], [at, middle + 2 * wide]], COLOUR.snn, 4);
    plot.label("ANN, mean ± 2 sd", COLOUR.ann, 0);
    plot.label("SNN, at this dose", COLOUR.snn, 1);
  }

  function tell(now, found) {
    const [a, wide] = spread(found.ann), [b, wideSnn] = spread(found.snn);
    const put = (name, text) => (root.querySelector(`#live-${name}-value`).textContent = text);
    put("ann", `${a.toFixed(3)} ± ${wide.toFixed(3)}`);
    put("snn", `${b.toFixed(3)} ± ${wideSnn.toFixed(3)}`);
    put("error", wide > 1e-9 ? `${(found.gap / wide).toFixed(3)} sd` : `${found.gap.toFixed(4)} (no sd)`);
    put("spikes", Math.round(found.spikes).toLocaleString("en"));
    const describe = (name, text) => root.querySelector(`#live-${name}`).setAttribute("aria-label", text);
    describe("raster", `Spikes of draw ${now.draw}, one row per neuron; ${Math.round(found.spikes)} a presentation on average.`);
    describe("readout", `Mean readout of draw ${now.draw} so far: it ends at ${found.shown.mean.toFixed(3)}, the artificial network gives ${found.ann[now.draw].toFixed(3)}.`);
    describe("densities", `Predictive densities: artificial ${a.toFixed(3)}, sd ${wide.toFixed(3)}; spiking ${b.toFixed(3)}, sd ${wideSnn.toFixed(3)}.`);
    describe("curve", `Growth against dose with the artificial network's band; the spiking spread stands at the chosen dose.`);
  }

  function update() {
    const start = performance.now(), now = settings(), found = compute(now);
    drawRaster(now, found);
    drawReadout(now, found);
    drawDensities(now, found);
    drawCurve(now, found);
    tell(now, found);
    root.dataset.ms = (performance.now() - start).toFixed(1);
  }

  prepare();
  root.hidden = false;
  update();
  let waiting = false; // one picture a frame, however fast the slider moves
  const later = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; update(); });
  };
  root.addEventListener("input", later);
  window.addEventListener("resize", later);
})();
