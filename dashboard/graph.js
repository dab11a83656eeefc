// Places for the nodes of a graph in layers, and ways for its edges: who only sends stands first, who only receives last.
//
// As Sugiyama has it: edges that would go back are turned, each node stands behind all that send to it, edges that skip layers get a
// place in each of them, layers are ordered so that neighbours stand near each other, and then everything gets its coordinates.

const SWEEPS = 8;

/**
 * `nodes` are `{ id, last }` (`last`: belongs to the last layer), `edges` `{ from, to }`. `size` says how long and broad a node is, and
 * the gaps between layers and within them. Returns the size of all, `at` with the middle of each node, and `ways` with the
 * points of each edge, in the same order. Length goes along the layers.
 */
export function layered(nodes, edges, size) {
  const ids = nodes.map((node) => node.id);
  const { arcs, turned } = withoutCycles(ids, edges);
  const layerOf = layersOf(nodes, arcs);
  const { layers, chains } = withPlaceholders(ids, arcs, layerOf);
  const links = chains.flatMap((chain) => chain.slice(1).map((id, index) => [chain[index], id]));
  order(layers, links);
  const breadth = breadths(layers, links, size);
  const step = size.length + size.lengthGap;
  const at = new Map();
  layers.forEach((layer, index) => {
    for (const id of layer) at.set(id, { along: size.length / 2 + index * step, across: breadth.get(id) });
  });
  const ways = chains.map((chain, index) => {
    const points = chain.map((id) => at.get(id));
    return turned.has(index) ? points.reverse() : points;
  });
  const last = Math.max(0, ...breadth.values());
  return {
    along: layers.length * step - size.lengthGap,
    across: last + size.breadth / 2,
    at,
    ways,
    turned,
  };
}

/** Edges whose ends are swapped where they would close a cycle. */
function withoutCycles(ids, edges) {
  const next = new Map(ids.map((id) => [id, []]));
  edges.forEach(({ from, to }, index) => next.get(from).push([to, index]));
  const turned = new Set();
  const state = new Map();
  const visit = (id) => {
    state.set(id, 'open');
    for (const [to, index] of next.get(id)) {
      if (state.get(to) === 'open') turned.add(index);
      else if (!state.has(to)) visit(to);
    }
    state.set(id, 'done');
  };
  // From where nothing comes in, first.
  const receives = new Set(edges.map(({ to }) => to));
  for (const id of [...ids].sort((a, b) => receives.has(a) - receives.has(b))) {
    if (!state.has(id)) visit(id);
  }
  const arcs = edges.map(({ from, to }, index) => (turned.has(index) ? [to, from] : [from, to]));
  return { arcs, turned };
}

/** The layer of each node: behind all that send to it. */
function layersOf(nodes, arcs) {
  const layer = new Map(nodes.map((node) => [node.id, 0]));
  for (let round = 0; round < nodes.length; round += 1) {
    let moved = false;
    for (const [from, to] of arcs) {
      if (layer.get(to) <= layer.get(from)) {
        layer.set(to, layer.get(from) + 1);
        moved = true;
      }
    }
    if (!moved) break;
  }
  const last = Math.max(0, ...layer.values());
  for (const node of nodes) if (node.last && layer.get(node.id) > 0) layer.set(node.id, last);
  return layer;
}

/** The layers, and each edge as a chain of nodes from one layer to the next. */
function withPlaceholders(ids, arcs, layerOf) {
  const layers = Array.from({ length: Math.max(0, ...layerOf.values()) + 1 }, () => []);
  for (const id of ids) layers[layerOf.get(id)].push(id);
  const chains = arcs.map(([from, to], index) => {
    const chain = [from];
    for (let layer = layerOf.get(from) + 1; layer < layerOf.get(to); layer += 1) {
      const id = `${index}:${layer}`;
      layers[layer].push(id);
      chain.push(id);
    }
    return [...chain, to];
  });
  return { layers, chains };
}

/** Sorts layers by where the neighbours stand, forth and back. */
function order(layers, links) {
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const forth = sweep % 2 === 0;
    const place = new Map(layers.flatMap((layer) => layer.map((id, index) => [id, index / layer.length])));
    for (const layer of forth ? layers : [...layers].reverse()) {
      const wish = new Map(layer.map((id) => {
        const near = links.filter((link) => link[forth ? 1 : 0] === id).map((link) => place.get(link[forth ? 0 : 1]));
        return [id, near.length ? mean(near) : place.get(id)];
      }));
      layer.sort((a, b) => wish.get(a) - wish.get(b));
      layer.forEach((id, index) => place.set(id, index / layer.length));
    }
  }
}

/** Where the middle of each node stands across: near its neighbours, apart from the others of its layer. */
function breadths(layers, links, size) {
  const apart = (a, b) => (isPlaceholder(a) ? 12 : size.breadth / 2) + (isPlaceholder(b) ? 12 : size.breadth / 2) + size.breadthGap;
  const at = new Map();
  for (const layer of layers) {
    let place = 0;
    layer.forEach((id, index) => {
      if (index > 0) place += apart(layer[index - 1], id);
      at.set(id, place);
    });
    layer.forEach((id) => at.set(id, at.get(id) - place / 2));
  }
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    for (const layer of sweep % 2 ? [...layers].reverse() : layers) {
      const wishes = layer.map((id) => {
        const near = links.flatMap(([a, b]) => (a === id ? [at.get(b)] : b === id ? [at.get(a)] : []));
        return near.length ? mean(near) : at.get(id);
      });
      const places = [];
      wishes.forEach((wish, index) => {
        const least = index ? places[index - 1] + apart(layer[index - 1], layer[index]) : -Infinity;
        places.push(Math.max(wish, least));
      });
      // Whoever was pushed away pulls all of the layer back by half of it.
      const pushed = mean(places.map((place, index) => place - wishes[index]));
      layer.forEach((id, index) => at.set(id, places[index] - pushed));
    }
  }
  const first = Math.min(...at.values());
  return new Map([...at].map(([id, place]) => [id, place - first + size.breadth / 2]));
}

const isPlaceholder = (id) => /^\d+:\d+$/.test(id);
const mean = (numbers) => numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
