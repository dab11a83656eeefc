// Who sends to whom, drawn from messages.

import { get } from '../api.js';
import { h, s } from '../dom.js';
import { count, functionLink, nameParts, rate } from '../format.js';
import { layered } from '../graph.js';
import { empty, name, page, panel, table } from '../ui.js';

const NODES_MAX = 150;
const WIDE = { width: 150, letters: 19 };
const NARROW = { width: 122, letters: 15 };
/** It is drawn smaller to fit, but not so small that it can't be read. */
const SCALE_MIN = 0.6;
const HEIGHT = 56;

const KINDS = { ingress: 'ingress', function: 'function', egress: 'egress', caller: 'callers', other: 'others' };

export const title = () => 'Map';
export const every = 2500;

export const load = (_, signal) => get('v1/graph', {}, signal);

export function render(graph) {
  const head = {
    title: 'Map',
    lead: 'Who has sent to whom since the start, drawn from messages and not from configuration.',
  };
  if (graph.edges.length === 0) {
    return page(head, empty('No message has been sent yet.',
      h('p', {}, 'As soon as messages flow, the functions and what connects them appear here.')));
  }
  return page(head,
    graph.truncated && h('p', { class: 'banner warn', key: 'cut' }, 'There are more edges than are counted one by one; the rest is summed up as “others”.'),
    panel('Graph', { plain: true }, drawing(graph)),
    panel('Edges', {}, edgeTable(graph)));
}

const idOf = (node) => `${node.kind} ${node.name}`;
const label = (node) => node.name || KINDS[node.kind];
const link = (node) =>
  ({ function: functionLink(node.name), ingress: '#/streams', egress: '#/streams' })[node.kind];

function edgeTable({ edges }) {
  const end = (node) => (link(node) ? h('a', { href: link(node) }, name(node.name)) : label(node));
  return table({
    caption: 'Edges of the graph',
    rows: edges,
    key: (edge) => `${idOf(edge.from)} ${idOf(edge.to)}`,
    columns: [
      { name: 'From', cell: (edge) => [end(edge.from), ' ', h('span', { class: 'note' }, edge.from.kind)] },
      { name: 'To', cell: (edge) => [end(edge.to), ' ', h('span', { class: 'note' }, edge.to.kind)] },
      { name: 'Rate', numeric: true, cell: (edge) => rate(edge.rate) },
      { name: 'Messages', numeric: true, cell: (edge) => count(edge.messages) },
    ],
  });
}

function drawing(graph) {
  const { nodes, edges, loops, hidden } = parts(graph);
  const upright = matchMedia('(max-width: 700px)').matches;
  const shape = upright ? NARROW : WIDE;
  const size = upright
    ? { length: HEIGHT, breadth: shape.width, lengthGap: 58, breadthGap: 14 }
    : { length: shape.width, breadth: HEIGHT, lengthGap: 84, breadthGap: 26 };
  const found = layered(
    nodes.map((node) => ({ id: idOf(node), last: node.kind === 'egress' || node.kind === 'caller' })),
    edges.map((edge) => ({ from: idOf(edge.from), to: idOf(edge.to) })),
    size,
  );
  const place = ({ along, across }) => (upright ? [across, along] : [along, across]);
  const [width, height] = place(found).map((length) => length + 12);
  const room = document.getElementById('main').clientWidth - (upright ? 66 : 96);
  const scale = Math.min(1, Math.max(SCALE_MIN, room / width));
  return [
    hidden > 0 && h('p', { class: 'note' }, `${hidden} function types with the least traffic are not drawn; the table has them.`),
    h('div', { class: 'map', tabindex: 0, role: 'region', 'aria-label': 'Graph of functions' },
      s('svg', { viewBox: `-6 -6 ${width} ${height}`, width: Math.round(width * scale), height: Math.round(height * scale), role: 'group', 'aria-label': 'Functions and what connects them; the table below says the same' },
        s('defs', {}, s('marker', { id: 'arrow', viewBox: '0 0 8 8', refX: 7, refY: 4, markerWidth: 8, markerHeight: 8, markerUnits: 'userSpaceOnUse', orient: 'auto' },
          s('path', { d: 'M0 .5 7.5 4 0 7.5z', class: 'arrow' }))),
        edges.map((edge, index) => drawEdge(edge, found.ways[index].map(place), found.turned.has(index), upright)),
        nodes.map((node) => drawNode(node, place(found.at.get(idOf(node))), shape, loops.get(idOf(node)), edges)))),
  ];
}

/** The nodes and edges that are drawn, and the messages that functions of a type send each other. */
function parts(graph) {
  const traffic = new Map();
  const named = new Map();
  for (const edge of graph.edges) {
    for (const node of [edge.from, edge.to]) {
      named.set(idOf(node), node);
      traffic.set(idOf(node), (traffic.get(idOf(node)) ?? 0) + edge.messages);
    }
  }
  const kept = new Set([...named.keys()].sort((a, b) => traffic.get(b) - traffic.get(a)).slice(0, NODES_MAX));
  const shown = graph.edges.filter((edge) => kept.has(idOf(edge.from)) && kept.has(idOf(edge.to)));
  const isLoop = (edge) => idOf(edge.from) === idOf(edge.to);
  return {
    // In the order of their ids, so that each stays where it is.
    nodes: [...named].filter(([id]) => kept.has(id)).sort(([a], [b]) => (a < b ? -1 : 1)).map(([, node]) => node),
    edges: shown.filter((edge) => !isLoop(edge)),
    loops: new Map(shown.filter(isLoop).map((edge) => [idOf(edge.from), edge])),
    hidden: named.size - kept.size,
  };
}

function drawEdge(edge, points, turned, upright) {
  // From border to border; what answers goes beside what asks.
  const side = turned ? 12 : 0;
  const [first, last] = [points[0], points.at(-1)];
  const back = turned ? -1 : 1;
  const reach = (upright ? HEIGHT : WIDE.width) / 2;
  const shift = ([x, y], along) => (upright ? [x + side, y + along] : [x + along, y + side]);
  const way = [
    shift(first, reach * back),
    ...points.slice(1, -1).map((point) => shift(point, 0)),
    shift(last, -(reach + 2) * back),
  ];
  const curve = way.slice(1).map((to, index) => {
    const from = way[index];
    const half = upright ? [0, (to[1] - from[1]) / 2] : [(to[0] - from[0]) / 2, 0];
    return `C${from[0] + half[0]} ${from[1] + half[1]} ${to[0] - half[0]} ${to[1] - half[1]} ${to[0]} ${to[1]}`;
  });
  const text = edge.rate > 0 ? rate(edge.rate) : '';
  const [a, b] = [way[0], way[1]];
  const width = 1.2 + Math.log10(1 + (edge.rate ?? 0)) * 1.1;
  return s('g', { class: edge.rate > 0 ? 'edge' : 'edge still', key: `${idOf(edge.from)}>${idOf(edge.to)}`, 'aria-hidden': 'true' },
    s('path', { d: `M${way[0].join(' ')}${curve.join('')}`, 'stroke-width': width.toFixed(1), 'marker-end': 'url(#arrow)' }),
    text && s('text', { x: (a[0] + b[0]) / 2, y: (a[1] + b[1]) / 2 + (upright ? (turned ? 16 : 4) : turned ? 15 : -7), 'text-anchor': 'middle' }, text));
}

function drawNode(node, [x, y], { width, letters }, loop, edges) {
  const flows = (end) => edges.filter((edge) => idOf(edge[end]) === idOf(node)).reduce((sum, edge) => sum + (edge.rate ?? 0), 0);
  const incoming = flows('to') + (loop?.rate ?? 0);
  const [namespace, type] = node.name ? nameParts(node.name) : ['', label(node)];
  const cut = (text) => (text.length > letters ? `${text.slice(0, letters - 1)}…` : text);
  const about = { function: namespace, caller: 'await answers', other: 'not told apart' }[node.kind] ?? `${node.kind} · ${namespace}`;
  const below = [about, loop && `↻ ${rate(loop.rate)}`];
  const said = `${KINDS[node.kind]} ${node.name}, ${rate(incoming)} in, ${rate(flows('from') + (loop?.rate ?? 0))} out`;
  const children = [
    s('title', {}, node.name || label(node)),
    s('rect', { x: x - width / 2, y: y - HEIGHT / 2, width, height: HEIGHT, rx: node.kind === 'function' ? 10 : HEIGHT / 2 }),
    s('text', { class: 'node-name', x, y: y - 4, 'text-anchor': 'middle' }, cut(type)),
    s('text', { class: 'node-note', x, y: y + 15, 'text-anchor': 'middle' }, cut(below.filter(Boolean).join('  '))),
  ];
  const href = link(node);
  return href
    ? s('a', { class: `node ${node.kind}`, href, key: idOf(node), 'aria-label': said }, children)
    : s('g', { class: `node ${node.kind}`, key: idOf(node), role: 'img', 'aria-label': said }, children);
}
