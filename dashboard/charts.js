// Charts of figures over the last minutes, as SVG that fits any width. Texts are HTML beside it, so that nothing is stretched.

import { h, s } from './dom.js';
import { live, WINDOW } from './live.js';

/** Points that lie further apart are not joined. */
const GAP = 6_000;

/** Where the pointer is in which chart. */
let pointed = null;

/** The least round number that is not below a value; in units of 1024 if it is of bytes, whole if it is a count. */
function round(value, unit) {
  if (unit === 'bytes' && value >= 1024) return round(value / 1024, unit) * 1024;
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const found = [1, 2, 2.5, 5, 10].map((step) => step * power).find((step) => step >= value * 0.999);
  return unit ? Math.ceil(found) : found;
}

/** Where the scale ends: its half is round, too. */
const scaleEnd = (points, unit) => 2 * round(Math.max(0, ...points) / 2, unit);

/** How long the charts reach back: as long as there is something to show, in steps. */
function reach(now) {
  const first = live.points[0]?.time ?? now;
  return [30_000, 60_000, WINDOW].find((span) => now - first <= span) ?? WINDOW;
}

/** The lines through points, interrupted where there are none. In a box of 100 by 100. */
function runs(points, { now, span, max }) {
  const lines = [];
  let last = -Infinity;
  for (const [time, value] of points) {
    if (value === undefined || value === null || time < now - span) continue;
    if (time - last > GAP) lines.push([]);
    last = time;
    const x = 100 - ((now - time) / span) * 100;
    lines.at(-1).push([x.toFixed(2), (100 - (Math.min(value, max) / max) * 96).toFixed(2)]);
  }
  return lines;
}

const line = (run) => {
  // A single point is drawn as a dot: a line of no length with round ends.
  const points = run.length === 1 ? [run[0], run[0]] : run;
  return `M${points.map((point) => point.join(' ')).join('L')}`;
};
const area = (run) => `${line(run)}L${run.at(-1)[0]} 100L${run[0][0]} 100Z`;

function plot(all, frame) {
  return all.map((points, index) => [
    index === 0 && runs(points, frame).map((run) => s('path', { class: 'area', d: area(run) })),
    runs(points, frame).map((run) => s('path', { class: `line line-${index}`, d: line(run) })),
  ]);
}

const box = { viewBox: '0 0 100 100', preserveAspectRatio: 'none', 'aria-hidden': 'true' };
const values = (points) => points.map(([, value]) => value).filter((value) => value !== undefined && value !== null);

/** A small line without axes; the figure stands beside it. */
export function spark(points) {
  const now = Date.now();
  const frame = { now, span: reach(now), max: scaleEnd(values(points)) };
  return s('svg', { ...box, class: 'spark' }, plot([points], frame));
}

/**
 * A chart with a title, its figures of now, and what they were. `lines` are `{ name, points }`, one or two; `format` writes a
 * value, `unit` is `count` or `bytes` if it is one. `redraw` is called when the pointer moves over it.
 */
export function chart({ title, lines, format, unit, note, redraw }) {
  const now = Date.now();
  const span = reach(now);
  const all = lines.flatMap(({ points }) => values(points));
  const max = scaleEnd(all, unit);
  const time = pointed?.title === title ? now - span * (1 - pointed.x) : now;
  const at = ({ points }) => {
    const there = points.filter(([, value]) => value !== undefined && value !== null);
    const near = there.reduce((best, point) => (best && Math.abs(best[0] - time) < Math.abs(point[0] - time) ? best : point), null);
    return near && Math.abs(near[0] - time) < GAP ? near[1] : undefined;
  };
  const range = all.length ? `between ${format(Math.min(...all))} and ${format(Math.max(...all))} lately` : 'nothing measured yet';
  const figures = lines.map((one, index) =>
    h('span', { class: 'figure' },
      one.name && h('span', { class: `key key-${index}` }, one.name),
      h('b', {}, format(at(one)))));
  return h('figure', { class: 'chart', key: title, 'data-chart': title },
    h('figcaption', {}, h('span', { class: 'title' }, title), note && h('span', { class: 'note' }, note)),
    h('div', { class: 'figures' }, figures),
    h('div', {
      class: 'plot',
      role: 'img',
      'aria-label': `${title}: ${range}`,
      onpointermove: (event) => {
        const { left, width } = event.currentTarget.getBoundingClientRect();
        pointed = { title, x: Math.min(1, Math.max(0, (event.clientX - left) / width)) };
        redraw();
      },
      onpointerleave: () => {
        pointed = null;
        redraw();
      },
    },
    s('svg', box,
      [4, 52].map((y) => s('line', { class: 'grid', x1: 0, x2: 100, y1: y, y2: y })),
      plot(lines.map(({ points }) => points), { now, span, max }),
      time !== now && s('line', { class: 'cursor', x1: pointed.x * 100, x2: pointed.x * 100, y1: 0, y2: 100 })),
    all.length > 0 && [
      h('span', { class: 'scale max' }, format(max)),
      h('span', { class: 'scale half' }, format(max / 2)),
    ]),
    h('div', { class: 'times', 'aria-hidden': 'true' },
      h('span', {}, `${span < 60_000 ? `${span / 1000} s` : `${span / 60_000} min`} ago`),
      h('span', {}, time === now ? 'now' : new Date(time).toLocaleTimeString())));
}
