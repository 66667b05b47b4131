// Two charts for each container: what it has used over the last minutes. Only those in view are drawn.

import { bytes, percent } from './format.js';

const MOST = 150;
// How long an empty chart is, in seconds.
const EMPTY = 120;
// Steps of a scale of bytes: what looks round in these units.
const ROUND = [...Array(40).keys()].flatMap((power) => [2 ** power, 2 ** power * 1.5]).filter((step) => step >= 64);

// The figures of one container, oldest first.
export class History {
  constructor() {
    this.times = [];
    this.cpu = [];
    this.memory = [];
  }

  add(seconds, cpu, memory) {
    if (seconds <= this.times.at(-1)) return;
    for (const [list, value] of [[this.times, seconds], [this.cpu, cpu], [this.memory, memory]]) {
      list.push(value);
      if (list.length > MOST) list.shift();
    }
  }
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export class Chart {
  // `least` is the top of the scale of a container that does nearly nothing.
  constructor(place, series, stroke, show, least) {
    Object.assign(this, { place, series, stroke, show, least, plot: null, data: empty() });
    this.sizes = new ResizeObserver(() => {
      if (this.plot && place.clientWidth > 0) this.plot.setSize(this.size());
    });
  }

  static cpu(place) {
    return new Chart(place, 'cpu', '--cpu', percent, 10);
  }

  static memory(place) {
    return new Chart(place, 'memory', '--memory', bytes, 1024 * 1024);
  }

  size() {
    return { width: this.place.clientWidth, height: this.place.clientHeight };
  }

  update(history) {
    this.data = history.times.length > 0 ? [history.times, history[this.series]] : empty();
    if (this.plot) this.plot.setData(this.data);
  }

  draw() {
    if (this.plot || this.place.clientWidth === 0) return;
    const axis = { stroke: colour('--faint'), font: '11px system-ui, sans-serif', ticks: { show: false } };
    const stroke = colour(this.stroke);
    this.plot = new uPlot({
      ...this.size(),
      legend: { show: false },
      cursor: { show: false },
      padding: [6, 22, 0, 0],
      scales: { x: { time: true }, y: { range: (_, low, high) => [0, Math.max(this.least, (high || 0) * 1.15)] } },
      axes: [
        { ...axis, size: 18, space: 70, grid: { show: false }, values: (_, ticks) => ticks.map(clock) },
        { ...axis, size: 54, space: 26, grid: { stroke: colour('--grid'), width: 1 },
          values: (_, ticks) => ticks.map(this.show), ...(this.series === 'memory' && { incrs: ROUND }) },
      ],
      series: [{}, { stroke, fill: `${stroke}22`, width: 2, points: { show: false } }],
    }, this.data, this.place);
    this.sizes.observe(this.place);
  }

  erase() {
    this.sizes.disconnect();
    this.plot?.destroy();
    this.plot = null;
  }
}

function empty() {
  const now = Date.now() / 1000;
  return [[now - EMPTY, now], [null, null]];
}

function clock(seconds) {
  const parts = { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' };
  return new Date(seconds * 1000).toLocaleTimeString([], parts);
}

const watched = new Map();
const view = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    for (const chart of watched.get(target) ?? []) isIntersecting ? chart.draw() : chart.erase();
  }
}, { rootMargin: '200px' });

export function watch(node, charts) {
  watched.set(node, charts);
  view.observe(node);
}

export function forget(node) {
  for (const chart of watched.get(node) ?? []) chart.erase();
  view.unobserve(node);
  watched.delete(node);
}

// Canvases do not follow the colours of the page by themselves.
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  for (const charts of watched.values()) {
    for (const chart of charts.filter((one) => one.plot)) {
      chart.erase();
      chart.draw();
    }
  }
});
