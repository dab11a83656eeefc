// Who serves functions over HTTP.

import { get } from '../api.js';
import { h } from '../dom.js';
import { count, ms, path, when } from '../format.js';
import { empty, health, name, page, panel, pauseButton, pausedNote, table } from '../ui.js';

export const title = () => 'Endpoints';
export const every = 2500;

export const load = (_, signal) => get('v1/endpoints', {}, signal);

export function render({ endpoints }, { refresh }) {
  return page({ title: 'Endpoints', lead: 'Who serves functions over HTTP, and whether they answer.' },
    panel('Endpoints', { plain: true },
      table({
        caption: 'Endpoints',
        rows: endpoints,
        key: (one) => one.functions,
        columns: [
          { name: 'Functions', cell: (one) => [name(one.functions), h('p', { class: 'note' }, one.url, one.transport === 'okhttp' && ' (okhttp)'), pausedNote(one.paused)] },
          { name: 'Health', cell: (one) => [health(one.health, one.paused), one.nextProbe && h('p', { class: 'note' }, 'asked again ', when(one.nextProbe))] },
          { name: 'Last success', cell: (one) => when(one.lastSuccess) },
          { name: 'Types', numeric: true, cell: (one) => count(one.types) },
          { name: 'In flight', numeric: true, cell: (one) => count(one.inFlight) },
          { name: 'p50', numeric: true, cell: (one) => ms(one.latency?.p50Ms) },
          { name: 'p99', numeric: true, cell: (one) => ms(one.latency?.p99Ms) },
          { name: 'Attempts', numeric: true, cell: (one) => count(one.attempts) },
          { name: 'Failed', numeric: true, cell: (one) => count(one.failures) },
          { name: 'Pause', action: true, cell: (one) => pauseButton({ path: `v1/endpoints/${path(one.functions).replaceAll('%2A', '*')}`, what: one.functions, paused: one.paused, refresh }) },
        ],
        empty: empty('There are no endpoints.', h('p', {}, 'All functions are linked into this program.')),
      })));
}
