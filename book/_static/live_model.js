/* The spiking network of spikedrop.spiking.reference in plain JavaScript, for one small network.
   A test holds its spike counts against that file. Arrays are indexed as their names say. */

const live = {
  /** What a spike counts at step t of T: 1; of a radix neuron its binary place. */
  payload(neuron, t, steps) {
    return neuron === "radix" ? steps * 2 ** -(t + 1) : 1;
  },

  /** Integrate-and-fire neurons: currents[t][i] in hertz to { spikes[t][i], voltage[t][i] }. */
  neurons(neuron, currents, dt = 0.001, charge = 0.5) {
    const steps = currents.length, units = currents[0].length;
    const windowed = LIVE.windowed.includes(neuron);
    const v = new Float64Array(units).fill(charge);
    if (windowed) {
      const levels = neuron === "radix" ? 2 ** steps : steps;
      for (let i = 0; i < units; i++) {
        let sum = 0;
        for (let t = 0; t < steps; t++) sum += currents[t][i];
        v[i] += (levels * dt * sum) / steps;
      }
    }
    const spikes = [], voltage = [];
    for (let t = 0; t < steps; t++) {
      const threshold = neuron === "radix" ? 2 ** (steps - 1 - t) : 1;
      const fired = new Float64Array(units);
      for (let i = 0; i < units; i++) {
        if (windowed) {
          fired[i] = v[i] >= threshold ? 1 : 0;
        } else {
          v[i] += (neuron === "rectified" ? Math.max(currents[t][i], 0) : currents[t][i]) * dt;
          fired[i] = Math.max(Math.floor(v[i]), 0);
        }
        v[i] -= threshold * fired[i];
      }
      spikes.push(fired);
      voltage.push(Float64Array.from(v));
    }
    return { spikes, voltage };
  },

  /** sent W + b. */
  weigh({ weights, bias }, sent) {
    const out = Float64Array.from(bias);
    for (let i = 0; i < sent.length; i++) {
      if (sent[i] !== 0) for (let j = 0; j < out.length; j++) out[j] += sent[i] * weights[i][j];
    }
    return out;
  },

  /** The masks of a draw at a rate: masks[layer][unit], 0 or 1 / (1 - rate) as float32. */
  masks(draw, rate) {
    const at = LIVE.rates.indexOf(rate), kept = Math.fround(1 / (1 - rate));
    return LIVE.dropped_from.map((layer) =>
      Float64Array.from(layer[draw], (from) => (rate > 0 && from <= at ? 0 : kept)));
  },

  /** Firing-rate scales in hertz per unit of activation, layer by layer. */
  scales(neuron, hz) {
    const windowed = LIVE.windowed.includes(neuron);
    return LIVE.tops[windowed ? "windows" : "fires"].map((top) => (windowed ? 500 : hz) / top);
  },

  /** The artificial network with one set of masks. */
  ann(dose, masks) {
    let values = LIVE.currents[dose];
    LIVE.layers.forEach((layer, l) => {
      values = live.weigh(layer, Float64Array.from(values, (a, i) => Math.max(a, 0) * masks[l][i]));
    });
    return values[0];
  },

  /** Present one input for some steps; masksAt(t) are the masks of step t.
      Returns readout[t], its mean after settling, counts[layer][unit] and spikes[layer][t][unit]. */
  present(dose, { neuron, hz, steps, settle }, masksAt, dt = 0.001) {
    const scales = live.scales(neuron, hz), spikes = [], counts = [];
    let values = Array(steps).fill(LIVE.currents[dose]);
    LIVE.layers.forEach((layer, l) => {
      const gain = scales[l] * dt;
      const run = live.neurons(neuron, values.map((now) => Float64Array.from(now, (a) => scales[l] * a)));
      const next = [], total = new Float64Array(values[0].length);
      run.spikes.forEach((fired, t) => {
        const mask = masksAt(t)[l], worth = live.payload(neuron, t, steps);
        const sent = fired.map((n, i) => {
          if (mask[i] === 0) fired[i] = 0;
          total[i] += fired[i];
          return ((fired[i] * worth) / gain) * mask[i];
        });
        next.push(live.weigh(layer, sent));
      });
      spikes.push(run.spikes);
      counts.push(total);
      values = next;
    });
    const readout = values.map((now) => now[0]);
    const late = readout.slice(settle);
    return { readout, mean: late.reduce((a, b) => a + b, 0) / late.length, counts, spikes };
  },

  /** A fixed sequence of numbers in [0, 1), for the control that redraws its masks. */
  uniforms(seed) {
    let state = seed >>> 0;
    return () => { // mulberry32, in the public domain
      state = (state + 0x6d2b79f5) >>> 0;
      let z = Math.imul(state ^ (state >>> 15), state | 1);
      z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
      return ((z ^ (z >>> 14)) >>> 0) / 2 ** 32;
    };
  },

  /** The masks at every step: those of the draw, or new ones at each step (the wrong control). */
  held(hold, draw, rate) {
    const frozen = live.masks(draw, rate);
    if (hold === "presentation") return () => frozen;
    const next = live.uniforms(draw + 1), seen = new Map();
    return (t) => {
      if (!seen.has(t)) {
        seen.set(t, frozen.map((layer) =>
          layer.map(() => (next() < rate ? 0 : Math.fround(1 / (1 - rate))))));
      }
      return seen.get(t);
    };
  },
};
