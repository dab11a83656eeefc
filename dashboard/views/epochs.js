// The last epochs: how long each took, and what it waited for.

import { get } from '../api.js';
import { chart } from '../charts.js';
import { h } from '../dom.js';
import { bytes, count, ms, perSecond, when } from '../format.js';
import { series } from '../live.js';
import { empty, page, panel, pill, table } from '../ui.js';

const SHOWN = 25;

export const title = () => 'Epochs';
export const every = 2500;
export const isLive = true;

export const load = (_, signal) => get('v1/epochs', { limit: SHOWN }, signal);

const REASONS = { shard: 'a shard', log: 'the disk with the log', store: 'the files of the store' };

export function render({ last, epochs }, { redraw }) {
  const duration = (field) => series((point) => point.epochs.duration?.[field]);
  const over = (pick) => series((point) => (point.seconds ? pick(point) / point.seconds : undefined));
  return page({ title: 'Epochs', lead: `Epoch ${count(last)} was the last that became durable. Outputs leave once their epoch is.` },
    h('div', { class: 'charts', key: 'charts' },
      chart({ title: 'Duration', redraw, format: ms, lines: [{ name: 'p50', points: duration('p50Ms') }, { name: 'p99', points: duration('p99Ms') }] }),
      chart({ title: 'Epochs a second', redraw, format: perSecond, lines: [{ points: over((point) => point.epochs.count) }] }),
      chart({ title: 'Log', redraw, format: (n) => `${bytes(n)}/s`, unit: 'bytes', lines: [{ points: over((point) => point.epochs.bytes) }] })),
    panel('The last epochs', {},
      table({
        caption: 'The last epochs, newest first',
        rows: epochs,
        key: (one) => one.number,
        columns: [
          { name: 'Epoch', cell: (one) => count(one.number) },
          { name: 'Began', cell: (one) => when(one.at) },
          { name: 'Duration', numeric: true, cell: (one) => ms(one.durationMs) },
          { name: 'Cut', numeric: true, cell: (one) => ms(one.cutMs) },
          { name: 'Log', numeric: true, cell: (one) => ms(one.logMs) },
          { name: 'Store', numeric: true, cell: (one) => ms(one.storeMs) },
          { name: 'Size', numeric: true, cell: (one) => bytes(one.bytes) },
          { name: 'Changes', numeric: true, cell: (one) => count(one.keys) },
          { name: 'Waited for', cell: (one) => (one.stall ? pill('warn', `${REASONS[one.stall.reason]}${one.stall.shard === undefined ? '' : ` ${one.stall.shard}`}`) : '–') },
        ],
        empty: empty('No epoch in this run yet.', h('p', {}, 'An idle engine makes none: epochs come with changes.')),
      })));
}
