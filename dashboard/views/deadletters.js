// What was given up: find it, look at it, repair it, and send it back, or forget it.

import { get, post, remove } from '../api.js';
import { h } from '../dom.js';
import { count, instanceLink, addressParts, spaced, when } from '../format.js';
import { address, attempt, empty, facts, filter, page, pager, panel, pill, question, said, table, toast, value } from '../ui.js';
import { states } from './instances.js';

const PAGE = 50;
const AT_ONCE = 500;

const KINDS = {
  invocation: 'A message that its function could not process',
  message: 'A message that never reached a function',
  record: 'A record that could not become a message',
};

/** The ids that are chosen in the list. */
const chosen = new Set();

/** `#/deadletters` */
export const list = {
  title: () => 'Dead letters',
  every: 3000,
  load: async ({ query }, signal) => {
    const [found, status] = await Promise.all([
      get('v1/deadletters', { ...query, limit: PAGE }, signal),
      get('v1/status', {}, signal),
    ]);
    const there = new Set(found.deadLetters.map((one) => one.id));
    for (const id of chosen) if (!there.has(id)) chosen.delete(id);
    return { ...found, total: status.total.deadLetters };
  },
  render: ({ deadLetters, next, total }, { query, redraw, refresh }) =>
    page({ title: 'Dead letters', lead: `${count(total)} in all. Each is kept with its exact request until it is redriven or dropped.` },
      filter({ route: 'deadletters', parameter: 'target', text: query.target, label: 'Target begins with', placeholder: 'shop/cart/' }),
      deadLetters.length > 0 && bulkBar(deadLetters, query.target ?? '', redraw, refresh),
      panel('Dead letters', { plain: true },
        table({
          caption: 'Dead letters',
          rows: deadLetters,
          key: (one) => one.id,
          columns: [
            { name: 'Letter', cell: (one) => h('span', { class: 'choice' }, box(one, redraw), h('a', { href: `#/deadletters/${one.id}` }, one.id)) },
            { name: 'Given up', cell: (one) => when(one.at) },
            { name: 'Target', cell: (one) => (one.target ? address(one.target) : one.place) },
            { name: 'Attempts', numeric: true, cell: (one) => count(one.attempts) },
            { name: 'Reason', wide: true, cell: (one) => said(one.reason) },
          ],
          empty: next
            ? empty('None on this page.', h('p', {}, 'There are more to look at: go on to the next page.'))
            : query.target
              ? empty('No dead letter has such a target.', h('p', {}, h('a', { href: '#/deadletters' }, 'Show all')))
              : empty('There are no dead letters.', h('p', {}, 'A message that its function refuses again and again ends here, ready to be repaired.')),
        }),
        pager('deadletters', query, next))),
};

const box = ({ id }, redraw) =>
  h('input', {
    type: 'checkbox',
    'aria-label': `Choose ${id}`,
    checked: chosen.has(id),
    onchange: (event) => {
      if (event.currentTarget.checked) chosen.add(id);
      else chosen.delete(id);
      redraw();
    },
  });

function bulkBar(deadLetters, target, redraw, refresh) {
  const all = deadLetters.every((one) => chosen.has(one.id));
  const some = chosen.size > 0;
  const words = some ? `the ${count(chosen.size)} chosen` : target ? `all to ${target}…` : 'all';
  const select = some ? { ids: [...chosen] } : { target };
  const toggle = () => {
    for (const { id } of deadLetters) all ? chosen.delete(id) : chosen.add(id);
    redraw();
  };
  const run = async (verb) => {
    const redrive = verb === 'redrive';
    const answer = await question({
      title: `${redrive ? 'Redrive' : 'Drop'} ${words}?`,
      text: redrive ? 'Their messages go back into their mailboxes as they are.' : 'They are forgotten for good, with their requests.',
      button: redrive ? 'Redrive' : 'Drop',
      danger: !redrive,
    });
    if (answer === null) return;
    await attempt(() => each(verb, select));
    chosen.clear();
    refresh();
  };
  return h('div', { class: 'bulk', key: 'bulk', role: 'group', 'aria-label': 'Many at once' },
    h('label', { class: 'choice' }, h('input', { type: 'checkbox', checked: all, onchange: toggle }), 'All on this page'),
    h('span', { class: 'actions' },
      h('button', { onclick: () => run('redrive') }, `Redrive ${words}`),
      h('button', { class: 'danger quiet', onclick: () => run('drop') }, `Drop ${words}`)));
}

/** Does something with all that are selected, portion by portion. */
async function each(verb, select) {
  let after;
  let done = 0;
  let skipped = 0;
  do {
    const answer = await post(`v1/deadletters/${verb}`, { ...select, after, limit: AT_ONCE });
    done += answer.done;
    skipped += answer.skipped;
    after = answer.next;
  } while (after);
  const left = skipped > 0 ? ` ${count(skipped)} could not be: they are gone already, or records.` : '';
  toast(`${count(done)} ${verb === 'redrive' ? 'redriven' : 'dropped'}.${left}`);
}

/** `#/deadletters/<id>` */
export const one = {
  title: ({ args }) => `Dead letter ${args[0]}`,
  load: ({ args }, signal) => get(`v1/deadletters/${encodeURIComponent(args[0])}`, {}, signal),
  render: (letter, { redraw }) => {
    const redrivable = letter.kind !== 'record';
    const isEdited = edited?.id === letter.id;
    return page({
      title: letter.id,
      kind: 'Dead letter',
      lead: KINDS[letter.kind],
      actions: [
        redrivable && h('button', { class: isEdited ? null : 'primary', onclick: () => redrive(letter) }, 'Redrive as it is'),
        redrivable && letter.message && !isEdited && h('button', { onclick: () => edit(letter, redraw) }, 'Edit message'),
        h('button', { class: 'danger quiet', onclick: () => drop(letter) }, 'Drop'),
      ],
    },
    h('div', { class: 'banner bad', key: 'reason' }, h('p', {}, pill('bad', 'Given up'), ' ', when(letter.at), ` after ${count(letter.attempts)} attempt${letter.attempts === 1 ? '' : 's'}`), h('p', {}, said(letter.reason))),
    h('div', { class: 'panel', key: 'facts' }, facts(
      ['Target', letter.target && address(letter.target)],
      ['Place', letter.place],
      ['Caller', redrivable && (letter.caller ? address(letter.caller) : 'outside')])),
    isEdited
      ? panel('Edit message', { key: 'editor' }, editor(letter, redraw))
      : letter.message && panel('Message', { key: 'message' }, value(letter.message)),
    letter.record && panel('Record', {}, value(letter.record)),
    letter.kind === 'invocation' && panel('State at the time', {}, states(letter.states, 'No state was sent with it.')),
    letter.request && panel('Try it on your machine', {},
      h('p', {}, 'This sends the stored request to a function server of yours and shows what it answers, without changing anything here:'),
      h('pre', { tabindex: 0 }, `statera deadletter replay ${letter.id} --endpoint http://localhost:8000/statefun`),
      h('details', {}, h('summary', {}, 'The request as it was sent, in base64'), h('pre', { class: 'long', tabindex: 0 }, letter.request))));
  },
};

/** The message that is being edited: the letter's id, and how its text is meant. */
let edited = null;

function edit(letter, redraw) {
  edited = { id: letter.id, ...asText(letter.message) };
  redraw();
  document.getElementById('message-text')?.focus();
}

/** A message as text to be edited. */
function asText(message) {
  if (message.typename.startsWith('io.statefun.types/') && message.text !== undefined) return { form: 'built-in', text: message.text };
  if (message.json !== undefined && message.text !== undefined) return { form: 'json', text: spaced(message.text, 2) };
  if (message.text !== undefined) return { form: 'text', text: message.text };
  return { form: 'base64', text: message.value ?? '' };
}

/** What was typed, in the form of the API. */
function asValue(text, form, typename) {
  if (form === 'base64') return { value: text.replace(/\s/g, '') };
  if (form === 'json') {
    JSON.parse(text);
    return { value: base64(spaced(text, 0)) };
  }
  if (form === 'built-in') return { json: typename === 'io.statefun.types/bool' ? JSON.parse(text) : text };
  return { value: base64(text) };
}

const base64 = (text) => btoa(Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join(''));

const FORMS = { json: 'JSON', text: 'Text', base64: 'Bytes, in base64', 'built-in': 'Value' };

function editor(letter, redraw) {
  const stop = () => {
    edited = null;
    redraw();
  };
  const send = async (event) => {
    event.preventDefault();
    const { text } = event.currentTarget.elements;
    let message;
    try {
      message = asValue(text.value, edited.form, letter.message.typename);
    } catch (error) {
      toast(`This is not JSON: ${error.message}`, { kind: 'bad', hint: 'Hint: check quotes, commas and brackets.' });
      text.focus();
      return;
    }
    await redrive(letter, { message });
  };
  return h('form', { class: 'editor', onsubmit: send },
    h('label', { for: 'message-text' }, `${FORMS[edited.form]} of type `, h('code', {}, letter.message.typename)),
    h('textarea', {
      id: 'message-text',
      name: 'text',
      rows: Math.min(20, Math.max(3, edited.text.split('\n').length + 1)),
      spellcheck: 'false',
      'aria-describedby': 'message-note',
      // Kept for whoever looks something up on another page.
      oninput: (event) => {
        edited.text = event.currentTarget.value;
      },
    }, edited.text),
    h('p', { class: 'note', id: 'message-note' }, 'It goes back into the mailbox with this value; the letter is gone then.'),
    h('div', { class: 'actions' },
      h('button', { type: 'submit', class: 'primary' }, 'Redrive edited message'),
      h('button', { type: 'button', class: 'quiet', onclick: stop }, 'Leave it as it was')));
}

async function redrive(letter, body) {
  const went = await attempt(() => post(`v1/deadletters/${encodeURIComponent(letter.id)}/redrive`, body ?? {}));
  if (!went) return;
  edited = null;
  toast(`Dead letter ${letter.id} is redriven. This is who gets it.`);
  location.hash = instanceLink(...addressParts(letter.target));
}

async function drop(letter) {
  const answer = await question({
    title: `Drop ${letter.id}?`,
    text: 'It is forgotten for good, with its request.',
    button: 'Drop',
    danger: true,
  });
  if (answer === null) return;
  if (await attempt(() => remove(`v1/deadletters/${encodeURIComponent(letter.id)}`))) {
    toast(`Dead letter ${letter.id} is dropped.`);
    location.hash = '#/deadletters';
  }
}
