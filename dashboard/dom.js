// Elements as function calls, and the smallest change from one tree to the next.
//
// A view describes all that it shows, again and again; `morph` changes only what differs, so that focus, selection and the
// text somebody is typing stay as they are.

const SVG = 'http://www.w3.org/2000/svg';

/** An element of HTML. Attributes that are null or false are left out; `on…` are listeners, `key` names it among its siblings. */
export const h = (tag, attributes, ...children) =>
  fill(document.createElement(tag), attributes, children);

/** An element of SVG. */
export const s = (tag, attributes, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);

function fill(element, attributes, children) {
  element.listeners = [];
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name === 'key') element.key = String(value);
    else if (name === 'checked') element.checked = value;
    else if (name.startsWith('on')) {
      element[name] = value;
      element.listeners.push(name);
    } else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...nodes(children));
  return element;
}

/** What is there of nested lists of nodes and texts. */
export const nodes = (children) =>
  children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);

/** Makes `old` look like `next`, and returns the node that is in the page then. */
export function morph(old, next) {
  if (old.nodeType !== next.nodeType || old.nodeName !== next.nodeName || old.key !== next.key) {
    old.replaceWith(next);
    return next;
  }
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== next.data) old.data = next.data;
    return old;
  }
  morphAttributes(old, next);
  for (const name of old.listeners ?? []) old[name] = null;
  for (const name of next.listeners ?? []) old[name] = next[name];
  old.listeners = next.listeners;
  // What is typed into a field is its own affair.
  if (old.nodeName !== 'TEXTAREA') morphChildren(old, next);
  return old;
}

function morphAttributes(old, next) {
  for (const { name } of [...old.attributes]) {
    // Whoever opened something wants it to stay open.
    const opened = name === 'open' && old.nodeName === 'DETAILS';
    if (!next.hasAttribute(name) && !opened) old.removeAttribute(name);
  }
  for (const { name, value } of next.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  if (old.nodeName === 'INPUT' && old.type === 'checkbox') old.checked = next.checked;
}

function morphChildren(old, next) {
  const named = [...old.childNodes].filter((child) => child.key !== undefined);
  const byKey = new Map(named.map((child) => [child.key, child]));
  let place = old.firstChild;
  for (const child of [...next.childNodes]) {
    const unnamed = place && place.key === undefined ? place : undefined;
    const found = child.key === undefined ? unnamed : byKey.get(child.key);
    if (!found) {
      old.insertBefore(child, place);
      continue;
    }
    if (found !== place) old.insertBefore(found, place);
    place = morph(found, child).nextSibling;
  }
  while (place) {
    const after = place.nextSibling;
    place.remove();
    place = after;
  }
}
