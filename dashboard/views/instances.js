// Instances: a list of them, one of them, and what they have sent for later.

import { get } from '../api.js';
import { h } from '../dom.js';
import { bytes, count, functionLink, ms, when } from '../format.js';
import { address, empty, facts, filter, name, page, pager, panel, pauseButton, pausedNote, phase, pill, said, table, compactValue, value } from '../ui.js';
import { instanceColumns } from './functions.js';

const PAGE = 50;
const MESSAGES = 20;

/** `#/instances` */
export const list = {
  title: () => 'Instances',
  every: 4000,
  load: ({ query }, signal) => get('v1/instances', { ...query, limit: PAGE }, signal),
  render: ({ instances, next }, { query }) =>
    page({ title: 'Instances', lead: 'Those that have state, mail, or are paused, as of the last durable epoch.' },
      filter({ route: 'instances', parameter: 'prefix', text: query.prefix, label: 'Address begins with', placeholder: 'shop/cart/ann' }),
      panel('Instances', { plain: true },
        table({
          caption: 'Instances',
          rows: instances,
          key: (one) => one.address,
          columns: instanceColumns,
          empty: next
            ? empty('None on this page.', h('p', {}, 'There are more to look at: go on to the next page.'))
            : query.prefix
              ? empty('No instance has such an address.', h('p', {}, h('a', { href: '#/instances' }, 'Show all')))
              : empty('There is no instance yet.', h('p', {}, 'An instance comes to be with its first message.')),
        }),
        pager('instances', query, next))),
};

/** `#/instances/<namespace>/<type>/<id>` */
export const one = {
  title: ({ args }) => args.join('/'),
  every: 2000,
  load: ({ args }, signal) =>
    get(`v1/instances/${args.map(encodeURIComponent).join('/')}`, { mailbox: MESSAGES, timers: MESSAGES }, signal),
  render: (found, { args, refresh }) => {
    const api = `v1/addresses/${args.map(encodeURIComponent).join('/')}`;
    return page({
      title: [name(found.function), '/', h('wbr'), found.id],
      kind: 'Instance',
      actions: [
        h('a', { class: 'button', href: `#/deadletters?target=${encodeURIComponent(found.address)}` }, 'Dead letters'),
        pauseButton({ path: api, what: found.address, paused: found.paused, refresh }),
      ],
    },
    pausedNote(found.paused),
    found.failure && failure(found.failure),
    h('div', { class: 'panel', key: 'facts' }, facts(
      ['Does', phase(found.phase)],
      ['Function', h('a', { href: functionLink(found.function) }, found.function)],
      ['Mail', count(found.mail)],
      ['Key group', count(found.keyGroup)],
      ['Shard', count(found.shard)],
      ['In memory', found.inMemory ? 'yes' : 'no'])),
    panel('State', {}, states(found.states, 'It has no state.')),
    panel('Mailbox', {}, mailbox(found)),
    panel('Sent for later', {}, timerTable(found.timers, ['Due', 'To', 'Message'], 'It has sent nothing for later.'),
      !found.timersComplete && h('p', { class: 'note' }, 'There may be more: not all were looked at.')),
    panel('Last invocations', {}, invocations(found.recent ?? [])));
  },
};

const OUTCOMES = { ok: ['ok', 'ok'], retry: ['warn', 'tried again'], deadLetter: ['bad', 'dead letter'], paused: ['held', 'paused'] };

const invocations = (all) =>
  table({
    caption: 'Last invocations',
    rows: all.map((invocation, index) => ({ ...invocation, index })),
    key: (invocation) => `${invocation.at} ${invocation.index}`,
    columns: [
      { name: 'Ended', cell: (invocation) => when(invocation.at) },
      { name: 'Outcome', cell: (invocation) => pill(...OUTCOMES[invocation.outcome]) },
      { name: 'Took', numeric: true, cell: (invocation) => ms(invocation.durationMs) },
      { name: 'Messages', numeric: true, cell: (invocation) => count(invocation.messages) },
      { name: 'Request', numeric: true, cell: (invocation) => bytes(invocation.bytes) },
      ...(all.some((invocation) => invocation.reason)
        ? [{ name: 'Reason', wide: true, cell: (invocation) => (invocation.reason ? said(invocation.reason) : '–') }]
        : []),
    ],
    empty: empty('None yet.', h('p', {}, 'Those that succeed are shown from the first look at this page on; those that fail always.')),
  });

function failure(failing) {
  return h('div', { class: 'banner bad', key: 'failure', role: 'group', 'aria-label': 'Last failure' },
    h('p', {}, h('b', {}, `Failed ${count(failing.attempts)} time${failing.attempts === 1 ? '' : 's'}`), ' since ', when(failing.since),
      failing.nextAttempt ? [', tried again ', when(failing.nextAttempt)] : ', being tried again'),
    h('p', {}, said(failing.reason)));
}

/** State values. */
export const states = (all, nothing) =>
  table({
    caption: 'State',
    rows: all,
    key: (state) => state.name,
    columns: [
      { name: 'Name', cell: (state) => h('span', { 'data-state': state.name }, state.name) },
      { name: 'Value', wide: true, cell: value },
      ...(all.some((state) => state.lastAccess) ? [{ name: 'Last access', cell: (state) => when(state.lastAccess) }] : []),
    ],
    empty: empty(nothing),
  });

function mailbox({ mailbox: mail, mail: total }) {
  return [
    table({
      caption: 'Messages in the mailbox',
      rows: mail.map((message, index) => ({ ...message, index })),
      key: (message) => message.index,
      columns: [
        { name: 'From', cell: (message) => (message.caller ? address(message.caller) : 'outside') },
        { name: 'Message', wide: true, cell: compactValue },
      ],
      empty: empty('No message waits.'),
    }),
    total > mail.length && h('p', { class: 'note' }, `The first ${mail.length} of ${count(total)}.`),
  ];
}

function timerTable(timers, names, nothing) {
  const columns = {
    Due: (timer) => when(timer.due),
    From: (timer) => address(timer.sender),
    To: (timer) => address(timer.target),
    Message: compactValue,
  };
  return table({
    caption: 'Messages sent for later',
    rows: timers.map((timer, index) => ({ ...timer, index })),
    key: (timer) => `${timer.due} ${timer.sender} ${timer.target} ${timer.index}`,
    columns: [
      ...names.map((column) => ({ name: column, cell: columns[column], wide: column === 'Message' })),
      ...(timers.some((timer) => timer.token) ? [{ name: 'Token', cell: (timer) => (timer.token ? h('code', {}, timer.token) : '–') }] : []),
    ],
    empty: empty(nothing),
  });
}

/** `#/timers` */
export const timers = {
  title: () => 'Timers',
  every: 3000,
  load: ({ query }, signal) => get('v1/timers', { ...query, limit: PAGE }, signal),
  render: ({ total, timers: all, next }, { query }) =>
    page({ title: 'Timers', lead: `${count(total)} message${total === 1 ? '' : 's'} sent for later, soonest first.` },
      filter({ route: 'timers', parameter: 'target', text: query.target, label: 'Target begins with', placeholder: 'shop/' }),
      panel('Sent for later', { plain: true },
        timerTable(all, ['Due', 'From', 'To', 'Message'], next ? 'None on this page; there are more.' : 'Nothing waits to be sent.'),
        pager('timers', query, next))),
};
