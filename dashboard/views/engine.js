// The engine itself: what it runs with, its shards, and what it logs.

import { get, put } from '../api.js';
import { h } from '../dom.js';
import { bytes, count, when } from '../format.js';
import { attempt, empty, facts, name, page, panel, pill, said, table, toast } from '../ui.js';

const LEVELS = ['error', 'warn', 'info', 'debug', 'trace'];

export const title = () => 'Engine';
export const every = 3000;

export async function load(_, signal) {
  const [application, status, version, log] = await Promise.all([
    get('v1/application', {}, signal),
    get('v1/status', {}, signal),
    get('v1/version', {}, signal),
    get('v1/log', {}, signal).catch((error) => {
      if (error.code === 'log-fixed') return { fixed: error };
      throw error;
    }),
  ]);
  return { application, status, version, log };
}

export function render({ application, status, version, log }, { refresh }) {
  const { settings } = application;
  return page({ title: 'Engine', lead: `${application.name}, served by Statera ${version.version}.` },
    h('div', { class: 'panel', key: 'facts' }, facts(
      ['State', application.stopping ? pill('warn', 'stopping') : pill('ok', 'running')],
      ['Started', when(application.startedAt)],
      ['Version', `${version.version} (API ${version.api})`],
      ['Data', h('code', {}, application.dataId)],
      ['Endpoints', count(application.endpoints)],
      ['Ingresses', count(application.ingresses)],
      ['Egresses', count(application.egresses)],
      ['Linked functions', application.linkedFunctions.length > 0 && application.linkedFunctions.map((one) => h('p', {}, name(one)))])),
    panel('What is logged', {}, logForm(log, refresh)),
    panel('Shards', {}, shards(status)),
    panel('Settings', {}, facts(
      ['Shards', count(settings.shards)],
      ['Key groups', count(settings.keyGroups)],
      ['Durability', settings.durability],
      ['Time between epochs', `${settings.epochsMinIntervalMs} to ${settings.epochsMaxIntervalMs} ms`],
      ['Memory for state', bytes(settings.memoryStateBytes)],
      ['Memory for mailboxes', bytes(settings.memoryMailboxBytes)],
      ['Memory for changes', bytes(settings.memoryUnflushedBytes)],
      ['When functions fail', settings.failuresPolicy])),
    panel('More', {},
      h('p', {}, h('a', { href: 'v1/openapi.json' }, 'The API as an OpenAPI document'), ' · ', h('a', { href: 'metrics' }, 'Metrics for Prometheus'))));
}

function logForm(log, refresh) {
  if (log.fixed) return empty(said(log.fixed.message), h('p', {}, said(log.fixed.hint)));
  const set = async (filter) => {
    if (await attempt(() => put('v1/log', { filter }))) {
      toast(`Logged from now on: ${filter}`);
      refresh();
    }
  };
  return [
    h('div', { class: 'levels', role: 'group', 'aria-label': 'Level' },
      LEVELS.map((level) => h('button', { 'aria-pressed': String(log.filter === level), onclick: () => set(level) }, level))),
    h('form', {
      class: 'filter',
      key: `log ${log.filter}`,
      onsubmit: (event) => {
        event.preventDefault();
        set(event.currentTarget.elements.filter.value.trim());
      },
    },
    h('label', {}, h('span', {}, 'Or a filter'),
      h('input', { name: 'filter', value: log.filter, required: true, spellcheck: 'false', autocomplete: 'off', placeholder: 'warn,statera_runtime=debug' })),
    h('button', { type: 'submit' }, 'Apply')),
    h('p', { class: 'note' }, 'It holds until the engine stops.'),
  ];
}

const shards = (status) =>
  table({
    caption: 'Shards',
    rows: status.shards.map((shard, index) => ({ ...shard, index })),
    key: (shard) => shard.index,
    columns: [
      { name: 'Shard', cell: (shard) => shard.index },
      { name: 'Instances', numeric: true, cell: (shard) => count(shard.instances) },
      { name: 'State', numeric: true, cell: (shard) => bytes(shard.stateBytes) },
      { name: 'Mail', numeric: true, cell: (shard) => count(shard.mail) },
      { name: 'In flight', numeric: true, cell: (shard) => count(shard.inFlight) },
      { name: 'Delayed', numeric: true, cell: (shard) => count(shard.delayed) },
      { name: 'Outbox', numeric: true, cell: (shard) => count(shard.outbox) },
      { name: 'Dead letters', numeric: true, cell: (shard) => count(shard.deadLetters) },
      { name: 'Paused', numeric: true, cell: (shard) => count(shard.paused) },
    ],
  });
