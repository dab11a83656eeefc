// What views are made of.

import { h, nodes } from './dom.js';
import { addressLink, addressParts, bytes, spaced, when } from './format.js';
import { post } from './api.js';

/** A view: its title, what can be done, and its parts. */
export const page = ({ title, kind, lead, actions }, ...children) => [
  h('header', { class: 'page-head', key: 'head' },
    h('div', {},
      kind && h('p', { class: 'kind' }, kind),
      h('h1', { tabindex: -1 }, title),
      lead && h('p', { class: 'lead' }, lead)),
    actions && h('div', { class: 'actions' }, actions)),
  ...nodes(children),
];

/** A part of a view with a heading. */
export const panel = (title, { actions, key = title, plain } = {}, ...children) =>
  h('section', { class: plain ? 'panel plain' : 'panel', key, 'aria-label': title },
    h('div', { class: 'panel-head' }, h('h2', {}, title), actions && h('div', { class: 'actions' }, actions)),
    children);

const MARKS = { ok: '●', idle: '○', warn: '▲', bad: '■', held: '❚❚' };

/** A state in a word, with a mark whose shape says the same as its colour. */
export const pill = (kind, text) =>
  h('span', { class: `pill ${kind}` }, h('span', { class: 'mark', 'aria-hidden': 'true' }, MARKS[kind]), text);

/** Whether somebody answers. */
export const health = (state, paused) => {
  if (paused) return pill('held', 'paused');
  return { up: pill('ok', 'up'), down: pill('bad', 'down'), unknown: pill('idle', 'not asked yet') }[state];
};

/** What an instance does. */
export const phase = (name) =>
  pill({ idle: 'idle', queued: 'ok', running: 'ok', retrying: 'warn', paused: 'held' }[name], name);

/**
 * A table; on a narrow screen each row becomes a card. `columns` are `{ name, cell }`, and `numeric`, `wide` or `action`; `empty` stands there
 * if there are no rows. The roles are said because such cards are no table to a browser.
 */
export function table({ caption, columns, rows, key, empty: nothing }) {
  if (rows.length === 0 && nothing) return nothing;
  const cls = ({ numeric, wide, action }) => (numeric ? 'numeric' : wide ? 'wide' : action ? 'action' : null);
  const head = columns.map((column) => h('th', { role: 'columnheader', scope: 'col', class: cls(column) }, column.action ? h('span', { class: 'unseen' }, column.name) : column.name));
  const row = (one) =>
    h('tr', { role: 'row', key: key(one) },
      columns.map((column, index) =>
        h(index === 0 ? 'th' : 'td', {
          role: index === 0 ? 'rowheader' : 'cell',
          scope: index === 0 ? 'row' : null,
          class: cls(column),
          'data-label': column.name,
        }, h('div', {}, column.cell(one)))));
  return h('table', { role: 'table', 'aria-label': caption },
    h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' }, head)),
    h('tbody', { role: 'rowgroup' }, rows.map(row)));
}

/** What stands where there is nothing: why, and what to do next. */
export const empty = (title, ...children) => h('div', { class: 'empty' }, h('p', { class: 'empty-title' }, title), children);

/** A message of the engine, in which values stand between backticks. */
export const said = (text) => text.split('`').map((part, index) => (index % 2 ? h('code', {}, part) : part));

/** Terms and what they are. Pairs whose second part is missing are left out. */
export const facts = (...pairs) =>
  h('dl', { class: 'facts' },
    pairs.filter(([, value]) => value !== undefined && value !== null && value !== false)
      .map(([term, value]) => h('div', {}, h('dt', {}, term), h('dd', {}, value))));

/** A name `namespace/type`, its namespace less loud. */
export function name(text) {
  const slash = text.lastIndexOf('/');
  return h('span', { class: 'name' }, h('span', { class: 'namespace' }, text.slice(0, slash + 1)), h('wbr'), text.slice(slash + 1));
}

/** An address as a link. */
export function address(text) {
  if (!text) return '–';
  const [type, id] = addressParts(text);
  return h('a', { class: 'address', href: addressLink(text) }, name(type), '/', h('wbr'), id);
}

/** A value, as far as it can be read. */
export const value = (one) => shownValue(one, 2);

/** The same where many stand below each other. */
export const compactValue = (one) => shownValue(one, 0);

function shownValue(one, indent) {
  const kind = indent ? 'value' : 'value compact';
  if (one.value === undefined) return h('div', { class: kind }, typename(one), ' ', h('em', {}, 'no value'));
  const size = Math.floor((one.value.length * 3) / 4) - (one.value.match(/=+$/)?.[0].length ?? 0);
  const isJson = one.json !== undefined && one.text !== undefined && !one.typename.startsWith('io.statefun.types/');
  const shown = isJson ? spaced(one.text, indent) : (one.text ?? one.value);
  const how = one.text === undefined ? ', base64' : '';
  return h('div', { class: kind },
    h('pre', { tabindex: 0 }, shown === '' ? '(empty)' : shown),
    h('p', { class: 'note' }, typename(one), `${bytes(size)}${how}`));
}

const typename = ({ typename: text }) => text && h('code', { class: 'typename' }, text);

/** A pause, and why. */
export const pausedNote = (pause) =>
  pause &&
  h('div', { class: 'banner held', key: 'paused' },
    h('p', {}, pill('held', 'Paused'), ' ', pause.since && when(pause.since), pause.reason && [': ', said(pause.reason)]));

/** A link to the page that follows, and one back to the first. */
export const pager = (route, query, next) => {
  const link = (changes) => {
    const all = Object.entries({ ...query, ...changes }).filter(([, text]) => text);
    return `#/${route}${all.length ? `?${all.map(([key, text]) => `${key}=${encodeURIComponent(text)}`).join('&')}` : ''}`;
  };
  if (!next && !query.after) return null;
  return h('nav', { class: 'pager', 'aria-label': 'Pages', key: 'pager' },
    query.after ? h('a', { class: 'button', href: link({ after: '' }) }, 'First page') : h('span'),
    next ? h('a', { class: 'button', href: link({ after: next }) }, 'Next page') : h('span', { class: 'note' }, 'That is all.'));
};

/** A field that filters a list by how names begin. What is typed goes into the address of the page. */
export const filter = ({ route, parameter, text, label, placeholder }) => {
  const go = (input) => {
    location.hash = input ? `#/${route}?${parameter}=${encodeURIComponent(input)}` : `#/${route}`;
  };
  return h('form', {
    class: 'filter',
    role: 'search',
    key: `filter ${text}`,
    onsubmit: (event) => {
      event.preventDefault();
      go(event.currentTarget.elements.text.value.trim());
    },
  },
  h('label', {}, h('span', {}, label),
    h('input', { name: 'text', type: 'search', value: text, placeholder, autocomplete: 'off', spellcheck: 'false' })),
  h('button', { type: 'submit' }, 'Filter'));
};

/** Says something to those who look and to those who listen. */
export function toast(text, { kind = 'ok', hint } = {}) {
  const place = document.getElementById('toasts');
  const note = h('div', { class: `toast ${kind}` },
    h('div', {}, h('p', {}, said(text)), hint && h('p', { class: 'hint' }, said(hint))),
    h('button', { class: 'quiet', 'aria-label': 'Dismiss', onclick: () => note.remove() }, '✕'));
  place.append(note);
  while (place.children.length > 3) place.firstChild.remove();
  if (kind !== 'bad') setTimeout(() => note.remove(), 8000);
}

/** Does something; says if it was refused, and why. Returns whether it went well. */
export async function attempt(action) {
  try {
    await action();
    return true;
  } catch (error) {
    toast(error.message, { kind: 'bad', hint: error.hint && `Hint: ${error.hint}` });
    return false;
  }
}

/**
 * Asks in a dialog, with one field if there should be one. Returns the text of the field (or an empty one), or null if it is
 * called off.
 */
export function question({ title, text, button, danger, field }) {
  return new Promise((resolve) => {
    let answer = null;
    const close = () => dialog.close();
    const form = h('form', {
      onsubmit: (event) => {
        event.preventDefault();
        answer = event.currentTarget.elements.field?.value ?? '';
        close();
      },
    },
    h('h2', { id: 'dialog-title' }, title),
    text && h('p', {}, text),
    field && h('label', {}, h('span', {}, field.label),
      h('input', { name: 'field', type: field.type ?? 'text', required: field.required, maxlength: field.max, autocomplete: 'off', placeholder: field.placeholder })),
    h('div', { class: 'actions' },
      h('button', { type: 'button', class: 'quiet', onclick: close }, 'Cancel'),
      h('button', { type: 'submit', class: danger ? 'danger' : 'primary' }, button)));
    const dialog = h('dialog', {
      'aria-labelledby': 'dialog-title',
      onclose: () => {
        dialog.remove();
        resolve(answer);
      },
    }, form);
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** The button that pauses, or lets go on. `path` is that of the API, `what` says what it is. */
export function pauseButton({ path, what, paused, refresh }) {
  const done = async (verb, body) => {
    if (await attempt(() => post(`${path}/${verb}`, body))) {
      toast(verb === 'pause' ? `${what} is paused.` : `${what} goes on.`);
      refresh();
    }
  };
  const pause = async () => {
    const reason = await question({
      title: `Pause ${what}?`,
      text: 'What is in flight ends as usual; everything else waits, also after a restart, until it is resumed.',
      button: 'Pause',
      field: { label: 'Reason, for those who will wonder', max: 1000, placeholder: 'bad release' },
    });
    if (reason !== null) await done('pause', reason ? { reason } : {});
  };
  return paused
    ? h('button', { class: 'primary', 'aria-label': `Resume ${what}`, onclick: () => done('resume') }, 'Resume')
    : h('button', { 'aria-label': `Pause ${what}`, onclick: pause }, 'Pause');
}
