// Types of functions: all of them, and one.

import { get } from '../api.js';
import { chart, spark } from '../charts.js';
import { h } from '../dom.js';
import { bytes, count, functionLink, instanceLink, ms, path, rate, when } from '../format.js';
import { functionSeries } from '../live.js';
import { empty, facts, filter, health, name, page, pager, panel, pauseButton, pausedNote, phase, table } from '../ui.js';

const PAGE = 100;
const INSTANCES = 25;

/** `#/functions` */
export const list = {
  title: () => 'Functions',
  every: 2500,
  load: ({ query }, signal) => get('v1/functions', { ...query, limit: PAGE }, signal),
  render: ({ functions, next }, { query }) =>
    page({ title: 'Functions', lead: 'The types that were seen since the start, that are linked, or that have an endpoint of their own.' },
      filter({ route: 'functions', parameter: 'prefix', text: query.prefix, label: 'Name begins with', placeholder: 'shop/' }),
      panel('Function types', { plain: true },
        table({
          caption: 'Function types',
          rows: functions,
          key: (one) => one.name,
          columns: [
            { name: 'Function', cell: (one) => h('a', { href: functionLink(one.name) }, name(one.name)) },
            { name: 'Health', cell: (one) => health(one.health, one.paused) },
            { name: 'Lately', cell: (one) => spark(functionSeries(one.name, (it) => it.rateIn)) },
            { name: 'In', numeric: true, cell: (one) => rate(one.rateIn) },
            { name: 'Out', numeric: true, cell: (one) => rate(one.rateOut) },
            { name: 'p50', numeric: true, cell: (one) => ms(one.latency?.p50Ms) },
            { name: 'p99', numeric: true, cell: (one) => ms(one.latency?.p99Ms) },
            { name: 'Backlog', numeric: true, cell: (one) => count(one.mail) },
            { name: 'Failing', numeric: true, cell: (one) => count(one.failing) },
            { name: 'Failures', numeric: true, cell: (one) => count(one.failures) },
          ],
          empty: query.prefix
            ? empty('No function type has such a name.', h('p', {}, h('a', { href: '#/functions' }, 'Show all')))
            : empty('No function has been invoked yet.', h('p', {}, 'Send a message through an ingress; its function appears here.')),
        }),
        pager('functions', query, next))),
};

/** `#/functions/<namespace>/<type>` */
export const one = {
  title: ({ args }) => args.join('/'),
  every: 2000,
  isLive: true,
  load: async ({ args, query }, signal) => {
    const type = args.join('/');
    const [fn, instances] = await Promise.all([
      get(`v1/functions/${args.map(encodeURIComponent).join('/')}`, {}, signal),
      get('v1/instances', { prefix: `${type}/${query.prefix ?? ''}`, after: query.after, limit: INSTANCES }, signal),
    ]);
    return { fn, instances };
  },
  render: ({ fn, instances }, { query, redraw, refresh }) =>
    page({
      title: name(fn.name),
      kind: 'Function type',
      actions: [
        h('a', { class: 'button', href: `#/deadletters?target=${encodeURIComponent(`${fn.name}/`)}` }, 'Dead letters'),
        pauseButton({ path: `v1/functions/${path(fn.name)}`, what: fn.name, paused: fn.paused, refresh }),
      ],
    },
    pausedNote(fn.paused),
    h('div', { class: 'panel', key: 'facts' }, facts(
      ['Health', health(fn.health, fn.paused)],
      ['Served by', fn.linked ? 'this program' : fn.endpoint ? h('a', { href: '#/endpoints' }, fn.endpoint) : 'nobody'],
      ['Last success', when(fn.lastSuccess)],
      ['In flight', count(fn.inFlight)],
      ['Waiting for their turn', count(fn.queued)],
      ['Failing addresses', count(fn.failing)],
      ['Paused addresses', fn.pausedAddresses !== undefined && count(fn.pausedAddresses)],
      ['Backlog', `${count(fn.mail)} (${bytes(fn.mailBytes)})`],
      ['Messages in', count(fn.messagesIn)],
      ['Messages out', count(fn.messagesOut)],
      ['Failed invocations', count(fn.failures)])),
    h('div', { class: 'charts', key: 'charts' }, charts(fn.name, redraw)),
    instancePanel(fn, instances, query),
    statePanel(fn)),
};

function charts(type, redraw) {
  const lines = (...pairs) => pairs.map(([label, pick]) => ({ name: label, points: functionSeries(type, pick) }));
  return [
    chart({ title: 'Messages', redraw, format: rate, lines: lines(['in', (it) => it.rateIn], ['out', (it) => it.rateOut]) }),
    chart({ title: 'Latency', redraw, format: ms, lines: lines(['p50', (it) => it.latency?.p50Ms], ['p99', (it) => it.latency?.p99Ms]) }),
    chart({ title: 'Backlog', redraw, format: count, unit: 'count', note: 'messages', lines: lines(['', (it) => it.mail]) }),
  ];
}

function instancePanel(fn, { instances, next }, query) {
  const route = functionLink(fn.name).slice(2);
  return panel('Instances', {},
    filter({ route, parameter: 'prefix', text: query.prefix, label: 'Id begins with', placeholder: 'any' }),
    table({
      caption: 'Instances',
      rows: instances,
      key: (one) => one.address,
      columns: instanceColumns.map((column, index) => (index === 0 ? { ...column, name: 'Id', cell: (one) => h('a', { href: instanceLink(one.function, one.id) }, one.id || '(empty)') } : column)),
      empty: empty(query.prefix ? 'No instance has such an id.' : 'No instance has state, mail, or is paused.'),
    }),
    pager(route, query, next));
}

export const instanceColumns = [
  { name: 'Address', cell: (one) => h('a', { class: 'address', href: instanceLink(one.function, one.id) }, name(one.function), '/', h('wbr'), one.id) },
  { name: 'Does', cell: (one) => phase(one.phase) },
  { name: 'Mail', numeric: true, cell: (one) => count(one.mail) },
];

function statePanel(fn) {
  const expiry = { never: 'never', afterWrite: 'after it was written', afterInvoke: 'after the last invocation' };
  return panel('Declared states', {},
    table({
      caption: 'Declared states',
      rows: fn.states,
      key: (state) => state.name,
      columns: [
        { name: 'Name', cell: (state) => state.name },
        { name: 'Type', cell: (state) => h('code', {}, state.typename) },
        { name: 'Expires', cell: (state) => `${state.ttlMs ? `${ms(state.ttlMs)} ` : ''}${expiry[state.expires]}` },
      ],
      empty: empty('It has declared no state since the start.'),
    }));
}
