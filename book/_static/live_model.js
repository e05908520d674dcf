/* The spiking network of spikedrop.engines.reference in plain JavaScript, for one small network.
   A test holds its spike counts against that file. Arrays are indexed as their names say. */

const live = {
  /** What a spike counts at step t of T: 1; of a radix neuron its binary place. */
  payload(neuron, t, steps) {
    return neuron === "radix" ? steps * 2 ** -(t + 1) : 1;
  },

  /** Integrate-and-fire neurons: currents in hertz to spikes, both flat with axes (step, unit). */
  neurons(neuron, currents, units, dt = 0.001, charge = 0.5) {
    const steps = currents.length / units, spikes = new Float64Array(currents.length);
    const v = new Float64Array(units).fill(charge);
    const windowed = LIVE.windowed.includes(neuron), rectified = neuron === "rectified";
    if (windowed) {
      const share = ((neuron === "radix" ? 2 ** steps : steps) * dt) / steps;
      for (let at = 0; at < currents.length; at++) v[at % units] += share * currents[at];
    }
    for (let t = 0, at = 0; t < steps; t++) {
      const threshold = neuron === "radix" ? 2 ** (steps - 1 - t) : 1;
      for (let i = 0; i < units; i++, at++) {
        if (!windowed) {
          const now = currents[at];
          v[i] += rectified && now < 0 ? 0 : now * dt;
        }
        if (v[i] < threshold) continue;
        const fired = windowed ? 1 : Math.floor(v[i]);
        spikes[at] = fired;
        v[i] -= threshold * fired;
      }
    }
    return spikes;
  },

  /** What arrives at every step, W sent + b: flat, axes (step, unit). */
  weigh({ weights, bias }, sent, units) {
    const steps = sent.length / units, wide = bias.length, out = new Float64Array(steps * wide);
    for (let t = 0; t < steps; t++) {
      const to = t * wide;
      for (let j = 0; j < wide; j++) out[to + j] = bias[j];
      for (let i = 0; i < units; i++) {
        const amount = sent[t * units + i];
        if (amount === 0) continue;
        const row = weights[i];
        for (let j = 0; j < wide; j++) out[to + j] += amount * row[j];
      }
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
      const active = Float64Array.from(values, (a, i) => Math.max(a, 0) * masks[l][i]);
      values = live.weigh(layer, active, active.length);
    });
    return values[0];
  },

  /** Spikes of the first layer before its masks: the same in every draw. */
  first(dose, { neuron, hz, steps }) {
    const now = LIVE.currents[dose], scale = live.scales(neuron, hz)[0];
    const currents = new Float64Array(steps * now.length);
    for (let at = 0; at < currents.length; at++) currents[at] = scale * now[at % now.length];
    return live.neurons(neuron, currents, now.length);
  },

  /** Present one input for some steps, with spikes from `first` and masks from `held`.
      Returns readout[step], its mean after settling, counts[layer][unit], and the spikes of each
      layer, flat with axes (step, unit). */
  present({ neuron, hz, steps, settle }, first, mask, dt = 0.001) {
    const scales = live.scales(neuron, hz), all = [], counts = [];
    let spikes = first.slice(), readout;
    LIVE.layers.forEach((layer, l) => {
      const units = spikes.length / steps, gain = scales[l] * dt;
      const sent = new Float64Array(spikes.length), total = new Float64Array(units);
      for (let t = 0; t < steps; t++) {
        const worth = live.payload(neuron, t, steps);
        for (let i = 0, at = t * units; i < units; i++, at++) {
          if (spikes[at] === 0) continue;
          const factor = mask(l, i, t);
          if (factor === 0) spikes[at] = 0;
          total[i] += spikes[at];
          sent[at] = ((spikes[at] * worth) / gain) * factor;
        }
      }
      all.push(spikes);
      counts.push(total);
      const arriving = live.weigh(layer, sent, units);
      if (l + 1 < scales.length) {
        for (let at = 0; at < arriving.length; at++) arriving[at] *= scales[l + 1];
        spikes = live.neurons(neuron, arriving, layer.bias.length);
      } else readout = arriving;
    });
    let sum = 0;
    for (let t = settle; t < steps; t++) sum += readout[t];
    return { readout, mean: sum / (steps - settle), counts, spikes: all };
  },

  /** A number in [0, 1) for each step and unit of a draw, for the control that redraws. */
  uniform(draw, layer, t, unit) {
    let z = Math.imul(1009 * draw + layer + 1, 0x9e3779b1) ^ Math.imul(4099 * t + unit + 1, 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 15), 0x2c1b3c6d);
    z = Math.imul(z ^ (z >>> 12), 0x297a2d39);
    return ((z ^ (z >>> 15)) >>> 0) / 2 ** 32;
  },

  /** Multiplier of a unit at a step: the draw's mask, or a new one each step (the wrong control). */
  held(hold, draw, rate) {
    const frozen = live.masks(draw, rate), kept = Math.fround(1 / (1 - rate));
    if (hold === "presentation") return (layer, unit) => frozen[layer][unit];
    return (layer, unit, t) => (live.uniform(draw, layer, t, unit) < rate ? 0 : kept);
  },
};
