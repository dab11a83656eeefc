// The frame around the views: which one is shown, when it is asked for again, and what the head of the page says.
//
// A view is `{ title, load, render }`: `load` asks the engine, `render` describes what to show of its answer. With `every` it is
// loaded again after so many milliseconds, with `isLive` drawn again with each event. Nothing is asked while the page can't be seen.

import { setTokenAsker } from './api.js';
import { h, morph, nodes } from './dom.js';
import { count } from './format.js';
import * as live from './live.js';
import { question, said } from './ui.js';
import * as deadletters from './views/deadletters.js';
import * as endpoints from './views/endpoints.js';
import * as engine from './views/engine.js';
import * as epochs from './views/epochs.js';
import * as functions from './views/functions.js';
import * as instances from './views/instances.js';
import * as map from './views/map.js';
import * as overview from './views/overview.js';
import * as streams from './views/streams.js';

const RETRY_EVERY = 2000;

/** The pages: what stands in the menu, and the view by the number of further segments. */
const PAGES = {
  '': { name: 'Overview', views: { 0: overview } },
  map: { name: 'Map', views: { 0: map } },
  functions: { name: 'Functions', views: { 0: functions.list, 2: functions.one } },
  instances: { name: 'Instances', views: { 0: instances.list, 3: instances.one } },
  timers: { name: 'Timers', views: { 0: instances.timers } },
  endpoints: { name: 'Endpoints', views: { 0: endpoints } },
  streams: { name: 'Ingress and egress', views: { 0: streams } },
  epochs: { name: 'Epochs', views: { 0: epochs } },
  deadletters: { name: 'Dead letters', views: { 0: deadletters.list, 1: deadletters.one } },
  engine: { name: 'Engine', views: { 0: engine } },
};

const main = document.getElementById('main');
const menu = document.getElementById('menu');
const menuButton = document.getElementById('menu-button');

/** What is shown: the route, its last answer or failure, and what ends its requests. */
let shown = null;

function route() {
  const [way, search = ''] = location.hash.replace(/^#\/?/, '').split('?');
  const [key, ...segments] = way.split('/');
  const args = segments.map(decoded);
  const pairs = search.split('&').filter(Boolean).map((pair) => pair.split('='));
  const query = Object.fromEntries(pairs.map(([name, text = '']) => [name, decoded(text)]));
  return { key, args, query, view: PAGES[key]?.views[args.length] };
}

/** As it stands, if somebody has broken a link. */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function go() {
  const before = shown;
  before?.stopper.abort();
  clearTimeout(before?.timer);
  shown = { ...route(), answer: undefined, problem: null, stopper: new AbortController(), timer: null, turn: 0 };
  const moved = before && (before.key !== shown.key || before.args.join('/') !== shown.args.join('/'));
  closeMenu();
  drawMenu();
  if (!shown.view) {
    show([h('div', { class: 'empty', key: 'nowhere' }, h('h1', { tabindex: -1 }, 'There is no such page'), h('p', {}, h('a', { href: '#/' }, 'Go to the overview')))]);
    document.title = 'Statera';
    return;
  }
  document.title = `${shown.view.title(shown)} · Statera`;
  if (moved) scrollTo(0, 0);
  shown.announce = Boolean(moved);
  if (moved || !before) show([h('p', { class: 'loading', key: 'loading', role: 'status' }, 'Loading …')]);
  load();
}

/** Asks for what the view shows, draws it, and does so again later. */
async function load() {
  const mine = shown;
  clearTimeout(mine.timer);
  if (document.hidden || !mine.view) return;
  mine.turn += 1;
  const { turn } = mine;
  let answer;
  let problem = null;
  try {
    answer = await mine.view.load(mine, mine.stopper.signal);
  } catch (error) {
    problem = error;
  }
  // Somebody has gone to another page, or asked again meanwhile.
  if (mine !== shown || mine.stopper.signal.aborted || turn !== mine.turn) return;
  if (!problem) mine.answer = answer;
  mine.problem = problem;
  draw();
  const after = mine.problem ? RETRY_EVERY : mine.view.every;
  if (after && !document.hidden) mine.timer = setTimeout(load, after);
}

function draw() {
  if (!shown.view || (shown.answer === undefined && !shown.problem)) return;
  const tools = { ...shown, redraw: draw, refresh: load };
  show([
    shown.problem && trouble(shown.problem),
    ...(shown.answer === undefined ? [] : shown.view.render(shown.answer, tools)),
  ]);
  if (shown.announce) {
    // Who listens hears where they are now.
    shown.announce = false;
    main.querySelector('h1')?.focus({ preventScroll: true });
  }
}

const trouble = (problem) =>
  h('div', { class: 'banner bad', key: 'trouble', role: 'alert' },
    h('p', {}, h('b', {}, said(problem.message))),
    problem.hint && h('p', { class: 'hint' }, 'Hint: ', said(problem.hint)),
    h('p', {}, h('button', { onclick: load }, 'Try again')));

function show(children) {
  const next = main.cloneNode(false);
  next.append(...nodes(children));
  morph(main, next);
}

function drawMenu() {
  const deadLetters = live.live.latest?.total.deadLetters ?? 0;
  const links = Object.entries(PAGES).map(([key, { name }]) =>
    h('li', {}, h('a', { href: `#/${key}`, 'aria-current': shown?.key === key ? 'page' : null },
      name,
      key === 'deadletters' && deadLetters > 0 && h('span', { class: 'badge' }, count(deadLetters)))));
  const list = menu.querySelector('ul');
  const next = list.cloneNode(false);
  next.append(...links);
  morph(list, next);
}

const STATES = {
  connecting: ['idle', 'Connecting'],
  live: ['ok', 'Live'],
  polling: ['warn', 'Every few seconds'],
  offline: ['bad', 'No answer'],
};

function drawState() {
  const [kind, text] = STATES[live.live.mode];
  const place = document.getElementById('state');
  // Written only when it changes: it is read aloud.
  if (place.dataset.mode === live.live.mode) return;
  place.dataset.mode = live.live.mode;
  place.className = `state ${kind}`;
  place.textContent = text;
}

function closeMenu() {
  menu.classList.remove('open');
  menuButton.setAttribute('aria-expanded', 'false');
}

menuButton.onclick = () => {
  const open = menu.classList.toggle('open');
  menuButton.setAttribute('aria-expanded', String(open));
  if (open) menu.querySelector('a').focus();
};
menu.onkeydown = (event) => {
  if (event.key === 'Escape' && menu.classList.contains('open')) {
    closeMenu();
    menuButton.focus();
  }
};

const THEMES = { auto: 'System', light: 'Light', dark: 'Dark' };
const themeButton = document.getElementById('theme');
function drawTheme() {
  const theme = document.documentElement.dataset.theme;
  themeButton.textContent = THEMES[theme];
  themeButton.setAttribute('aria-label', `Colours: ${THEMES[theme]}`);
}
themeButton.onclick = () => {
  const all = Object.keys(THEMES);
  const next = all[(all.indexOf(document.documentElement.dataset.theme) + 1) % all.length];
  document.documentElement.dataset.theme = next;
  localStorage.setItem('statera-theme', next);
  drawTheme();
};

// A link within the page, not a place in the dashboard.
document.getElementById('skip').onclick = (event) => {
  event.preventDefault();
  main.focus();
};

setTokenAsker((problem) =>
  question({
    title: 'Token',
    text: `The engine wants to know who asks: ${problem.message}. The token is what it was started with; it is kept until this tab is closed.`,
    button: 'Go on',
    field: { label: 'Token', type: 'password', required: true },
  }));

live.watch(() => {
  drawState();
  drawMenu();
  if (shown?.view?.isLive) draw();
});
addEventListener('hashchange', go);
document.addEventListener('visibilitychange', () => {
  if (document.hidden) {
    live.stop();
    clearTimeout(shown.timer);
  } else {
    live.start();
    load();
  }
});
matchMedia('(max-width: 700px)').addEventListener('change', draw);

drawTheme();
drawState();
go();
if (!document.hidden) live.start();
