// Where messages come in, and where records leave.

import { get } from '../api.js';
import { h } from '../dom.js';
import { bytes, count, path, rate, span, when } from '../format.js';
import { empty, name, page, panel, pauseButton, pausedNote, pill, said, table } from '../ui.js';

const SOURCES_SHOWN = 20;

export const title = () => 'Ingress and egress';
export const every = 2500;

export async function load(_, signal) {
  const [{ ingresses }, { egresses }] = await Promise.all([get('v1/ingresses', {}, signal), get('v1/egresses', {}, signal)]);
  return { ingresses, egresses };
}

export const render = ({ ingresses, egresses }, { refresh }) =>
  page({ title: 'Ingress and egress', lead: 'Where messages come in and how far they are; where records leave and what waits for them.' },
    panel('Ingresses', {}, ingressTable(ingresses, refresh)),
    panel('Egresses', {}, egressTable(egresses)));

const place = (one) => h('p', { class: 'note' }, [one.kind, one.place].filter(Boolean).join(' · '));

function ingressTable(ingresses, refresh) {
  return table({
    caption: 'Ingresses',
    rows: ingresses,
    key: (one) => one.id,
    columns: [
      { name: 'Ingress', cell: (one) => [name(one.id), place(one), pausedNote(one.paused)] },
      { name: 'State', cell: (one) => (one.paused ? pill('held', 'paused') : pill('ok', 'open')) },
      { name: 'Rate', numeric: true, cell: (one) => rate(one.rate) },
      { name: 'Messages', numeric: true, cell: (one) => count(one.messages) },
      { name: 'Positions', wide: true, cell: (one) => sources(one) },
      { name: 'Pause', action: true, cell: (one) => pauseButton({ path: `v1/ingresses/${path(one.id)}`, what: one.id, paused: one.paused, refresh }) },
    ],
    empty: empty('There are no ingresses.', h('p', {}, 'Without one no message comes in from outside; module.yaml names them.')),
  });
}

function sources(one) {
  if (one.sources.length === 0) {
    const pushes = one.kind === 'http' || one.kind === 'playground';
    return h('p', { class: 'note' }, pushes ? 'Takes what is sent to it.' : 'Has delivered nothing yet.');
  }
  const lag = (source) =>
    [source.lagRecords !== undefined && `${count(source.lagRecords)} records behind`,
      source.lagBytes !== undefined && `${bytes(source.lagBytes)} behind`,
      source.lagMs !== undefined && `${span(source.lagMs / 1000)} behind`]
      .filter(Boolean).join(', ');
  return [
    h('ul', { class: 'sources' },
      one.sources.slice(0, SOURCES_SHOWN).map((source) =>
        h('li', { key: source.partition },
          source.partition && [h('b', {}, source.partition), ': '], lag(source),
          h('p', { class: 'note' }, 'at ', h('code', {}, source.position.text ?? source.position.value ?? '–'),
            source.takenAt && [', taken ', when(source.takenAt)])))),
    one.sources.length > SOURCES_SHOWN && h('p', { class: 'note' }, `and ${count(one.sources.length - SOURCES_SHOWN)} more`),
  ];
}

function egressTable(egresses) {
  return table({
    caption: 'Egresses',
    rows: egresses,
    key: (one) => one.id,
    columns: [
      { name: 'Egress', cell: (one) => [name(one.id), place(one)] },
      { name: 'State', cell: (one) => (one.failing ? pill('bad', 'failing') : pill('ok', 'writes')) },
      { name: 'Rate', numeric: true, cell: (one) => rate(one.rate) },
      { name: 'Records', numeric: true, cell: (one) => count(one.records) },
      { name: 'Backlog', numeric: true, cell: (one) => `${count(one.backlogRecords)} (${bytes(one.backlogBytes)})` },
      { name: 'Released', numeric: true, cell: (one) => [count(one.releasedEpoch), one.releasedAt && h('p', { class: 'note' }, when(one.releasedAt))] },
      { name: 'Last failure', wide: true, cell: (one) => (one.lastFailure ? [said(one.lastFailure.reason), h('p', { class: 'note' }, when(one.lastFailure.at), `, ${count(one.failures)} in all`)] : 'none') },
    ],
    empty: empty('There are no egresses.', h('p', {}, 'Functions can still answer calls; module.yaml names egresses.')),
  });
}
