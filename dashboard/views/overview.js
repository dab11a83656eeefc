// The whole at a glance: what needs somebody, what flows, and how fast.

import { get } from '../api.js';
import { chart, spark } from '../charts.js';
import { h } from '../dom.js';
import { bytes, count, functionLink, ms, rate, span } from '../format.js';
import { functionSeries, live, series } from '../live.js';
import { empty, health, name, page, panel, pill, table } from '../ui.js';

const FUNCTIONS_SHOWN = 8;

export const title = () => 'Overview';
export const isLive = true;

export const load = (_, signal) => get('v1/application', {}, signal);

export function render(application, { redraw }) {
  const now = live.latest;
  return page(
    {
      title: application.name,
      kind: 'Overview',
      lead: `Up for ${span((Date.now() - new Date(application.startedAt)) / 1000)}, Statera ${application.version}, ${
        application.settings.shards === 1 ? 'one shard' : `${application.settings.shards} shards`}.`,
    },
    now && attention(now),
    now && tiles(now.total),
    h('div', { class: 'charts', key: 'charts' }, charts(now, redraw)),
    now && busiest(now),
  );
}

function charts(now, redraw) {
  const one = (title, format, pick, note, unit) =>
    chart({ title, format, note, unit, redraw, lines: [{ points: series(pick) }] });
  const two = (title, pick, note) =>
    chart({
      title,
      note,
      redraw,
      format: ms,
      lines: [
        { name: 'p50', points: series((point) => pick(point)?.p50Ms) },
        { name: 'p99', points: series((point) => pick(point)?.p99Ms) },
      ],
    });
  const sum = (list, field) => list.reduce((total, entry) => (entry[field] === undefined ? total : (total ?? 0) + entry[field]), undefined);
  const lag = (point) => sum(point.ingresses, 'lagRecords') ?? sum(point.ingresses, 'lagBytes');
  const inRecords = now?.ingresses.some((ingress) => ingress.lagRecords !== undefined);
  const perSecond = (pick) => (point) => (point.seconds ? pick(point) / point.seconds : undefined);
  return [
    one('Throughput', rate, (point) => point.rate, 'messages'),
    two('Latency of invocations', (point) => point.latency),
    two('End to end', (point) => point.endToEnd, 'ingress to release'),
    two('Duration of epochs', (point) => point.epochs.duration, now && `epoch ${count(now.epochs.last)}`),
    one('Log', (value) => `${bytes(value)}/s`, perSecond((point) => point.epochs.bytes), 'bytes of epochs', 'bytes'),
    one('Ingress lag', inRecords ? count : bytes, lag, inRecords ? 'records' : 'bytes', inRecords ? 'count' : 'bytes'),
    one('Egress backlog', count, (point) => sum(point.egresses, 'backlogRecords'), 'records', 'count'),
    one('Backlog of mailboxes', count, (point) => point.total.mail, 'messages', 'count'),
    one('Failed invocations', rate, (point) => point.failureRate),
  ];
}

function tiles(total) {
  const tile = (label, text, href) =>
    h('li', {}, h(href ? 'a' : 'div', { class: 'tile', href }, h('span', {}, label), h('b', {}, text)));
  return h('ul', { class: 'tiles', key: 'tiles', 'aria-label': 'Totals' },
    tile('Instances in memory', count(total.instances), '#/instances'),
    tile('State in memory', bytes(total.stateBytes)),
    tile('Invocations in flight', count(total.inFlight)),
    tile('Open calls', count(total.calls)),
    tile('Delayed messages', count(total.delayed), '#/timers'),
    tile('Dead letters', count(total.deadLetters), '#/deadletters'));
}

/** What somebody should look at. */
function attention(now) {
  const items = [
    now.functions.filter((one) => one.health === 'down')
      .map((one) => ['bad', `${one.name} does not answer`, functionLink(one.name)]),
    now.egresses.filter((one) => one.failing).map((one) => ['bad', `Writing to ${one.id} fails`, '#/streams']),
    now.total.deadLetters > 0 && [['warn', now.total.deadLetters === 1 ? 'One dead letter: a message that was given up' : `${count(now.total.deadLetters)} dead letters: messages that were given up`, '#/deadletters']],
    now.failing > 0 && [['warn', now.failing === 1 ? 'One address fails and is tried again' : `${count(now.failing)} addresses fail and are tried again`, '#/functions']],
    now.total.paused > 0 && [['held', `${count(now.total.paused)} paused address${now.total.paused === 1 ? '' : 'es'}`, '#/functions']],
    now.ingresses.filter((one) => one.paused).map((one) => ['held', `${one.id} is paused`, '#/streams']),
  ].filter(Boolean).flat();
  return h('section', { class: 'attention', key: 'attention', 'aria-label': 'Needs attention' },
    items.length === 0
      ? h('p', { class: 'quiet-line' }, pill('ok', 'All is well'), ' Nothing fails, nothing is paused, nothing was given up.')
      : h('ul', {}, items.map(([kind, text, href]) => h('li', { key: text }, h('a', { href }, pill(kind, text))))));
}

function busiest(now) {
  const functions = [...now.functions].sort((a, b) => (b.rateIn ?? 0) - (a.rateIn ?? 0) || a.name.localeCompare(b.name)).slice(0, FUNCTIONS_SHOWN);
  return panel('Busiest functions', { actions: h('a', { href: '#/functions' }, 'All functions') },
    table({
      caption: 'Busiest functions',
      rows: functions,
      key: (one) => one.name,
      columns: [
        { name: 'Function', cell: (one) => h('a', { href: functionLink(one.name) }, name(one.name)) },
        { name: 'Health', cell: (one) => health(one.health) },
        { name: 'Lately', cell: (one) => spark(functionSeries(one.name, (it) => it.rateIn)) },
        { name: 'Messages in', numeric: true, cell: (one) => rate(one.rateIn) },
        { name: 'p50', numeric: true, cell: (one) => ms(one.latency?.p50Ms) },
        { name: 'p99', numeric: true, cell: (one) => ms(one.latency?.p99Ms) },
        { name: 'Backlog', numeric: true, cell: (one) => count(one.mail) },
      ],
      empty: empty('No function has been invoked yet.',
        h('p', {}, 'Send a message through an ingress, and it appears here: ', h('code', {}, 'statera send'), ' does it from a shell.')),
    }));
}
