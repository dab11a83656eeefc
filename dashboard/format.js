// Figures, sizes, times and names as people read them. What is not known is a dash.

import { h } from './dom.js';

const DASH = '–';
const whole = new Intl.NumberFormat('en');
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 4 });
const known = (value) => value !== undefined && value !== null && !Number.isNaN(value);

/** A number of things. */
export const count = (n) => (known(n) ? (n < 1e6 ? whole.format(Math.round(n)) : short.format(n)) : DASH);

/** A rate, without its unit. */
export function perSecond(n) {
  if (!known(n)) return DASH;
  return n < 10 && n % 1 !== 0 ? n.toFixed(1) : count(n);
}

/** A rate. */
export const rate = (n) => (known(n) ? `${perSecond(n)}/s` : DASH);

/** A duration that is given in milliseconds. */
export function ms(n) {
  if (!known(n)) return DASH;
  if (n === 0) return '0 ms';
  if (n < 1) return `${n.toFixed(2)} ms`;
  if (n < 10) return `${n.toFixed(1)} ms`;
  if (n < 1000) return `${Math.round(n)} ms`;
  return n < 60_000 ? `${(n / 1000).toFixed(1)} s` : span(n / 1000);
}

/** A size. */
export function bytes(n) {
  if (!known(n)) return DASH;
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  while (n >= 1024 && unit < units.length - 1) {
    n /= 1024;
    unit += 1;
  }
  return `${n >= 100 || Number.isInteger(n) ? Math.round(n) : n.toFixed(1)} ${units[unit]}`;
}

/** A number of seconds, in its two largest units. */
export function span(seconds) {
  const units = [['d', 86400], ['h', 3600], ['min', 60], ['s', 1]];
  let rest = Math.max(0, Math.round(seconds));
  const parts = units.map(([name, size]) => {
    const n = Math.floor(rest / size);
    rest -= n * size;
    return [n, name];
  });
  const first = parts.findIndex(([n]) => n > 0);
  if (first < 0) return '0 s';
  return parts.slice(first, first + 2).filter(([n]) => n > 0).map(([n, name]) => `${n} ${name}`).join(' ');
}

/** A moment: how long ago it was, or how long it is till then. */
export function when(text) {
  if (!text) return DASH;
  const at = new Date(text);
  const seconds = (Date.now() - at) / 1000;
  const near = Math.abs(seconds) < 1 ? 'now' : seconds > 0 ? `${span(seconds)} ago` : `in ${span(-seconds)}`;
  return h('time', { datetime: text, title: at.toLocaleString() }, near);
}

/** The two parts of a name, `namespace/type`. */
export function nameParts(name) {
  const slash = name.indexOf('/');
  return [name.slice(0, slash), name.slice(slash + 1)];
}

/** The name of a function and the id in an address. */
export function addressParts(address) {
  const [namespace, type, ...id] = address.split('/');
  return [`${namespace}/${type}`, id.join('/')];
}

/** A name as segments of a path. */
export const path = (name) => nameParts(name).map(encodeURIComponent).join('/');

/** Where a type of functions is shown. */
export const functionLink = (name) => `#/functions/${path(name)}`;

/** Where an instance is shown. */
export const instanceLink = (name, id) => `#/instances/${path(name)}/${encodeURIComponent(id)}`;

/** Where the instance of an address is shown. */
export const addressLink = (address) => instanceLink(...addressParts(address));

/**
 * JSON text with other white space and nothing else changed: not even a number that JavaScript would round. Without an indent it is
 * as short as can be.
 */
export function spaced(text, indent) {
  let depth = 0;
  let out = '';
  const line = () => (indent ? `\n${' '.repeat(indent * depth)}` : '');
  for (const token of text.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g) ?? []) {
    const opens = token === '{' || token === '[';
    const closes = token === '}' || token === ']';
    if (closes) depth -= 1;
    const isEmpty = closes && /[{[]$/.test(out.trimEnd());
    if (isEmpty) out = out.trimEnd() + token;
    else if (closes) out += line() + token;
    else out += token;
    if (opens) depth += 1;
    if (opens || token === ',') out += line();
    if (token === ':' && indent) out += ' ';
  }
  return out;
}
