// The live figures of the engine, and what they were in the last minutes.
//
// They come as server-sent events, read by `fetch` because an `EventSource` sends no token. If the engine has too many listeners, or
// something on the way holds events back, they are asked for every few seconds. While nobody can see the page, nothing is.

import { get, open } from './api.js';

/** How far back charts reach, in milliseconds. */
export const WINDOW = 120_000;
const FUNCTIONS_MAX = 200;
const SILENCE_MAX = 5_000;
const POLL_EVERY = 2_500;
const POLLS_BEFORE_EVENTS = 12;
const RETRY_MAX = 10_000;

/** `mode` is `connecting`, `live`, `polling` or `offline`; `points` hold what each event told, oldest first. */
export const live = { mode: 'connecting', latest: null, points: [] };

const watchers = new Set();
let stopper = null;

/** Calls back after each change. */
export const watch = (callback) => watchers.add(callback);

/** Begins, unless it has begun. */
export function start() {
  if (stopper) return;
  stopper = new AbortController();
  run(stopper.signal);
}

/** Ends all requests. What was seen is kept. */
export function stop() {
  stopper?.abort();
  stopper = null;
}

async function run(signal) {
  let failures = 0;
  while (!signal.aborted) {
    try {
      if (failures > 0) await poll(signal);
      await listen(signal, () => {
        failures = 0;
      });
    } catch (error) {
      if (signal.aborted) return;
      failures += 1;
      if (error.status === 0) {
        change('offline');
        await pause(Math.min(1000 * failures, RETRY_MAX), signal);
      }
    }
  }
}

/** Reads events until they end, or none comes for a while. */
async function listen(signal, onEvent) {
  const own = new AbortController();
  const end = () => own.abort();
  signal.addEventListener('abort', end);
  let silence;
  try {
    // That may take as long as somebody looks for the token.
    const answer = await open('v1/events', { signal: own.signal });
    silence = setTimeout(end, SILENCE_MAX);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    for (;;) {
      const { value, done } = await reader.read();
      if (done) throw new Error('the stream has ended');
      clearTimeout(silence);
      silence = setTimeout(end, SILENCE_MAX);
      text += value;
      const events = text.split('\n\n');
      text = events.pop();
      for (const event of events) {
        const data = event.split('\n').find((line) => line.startsWith('data: '));
        if (!data) continue;
        onEvent();
        take(sinceLast(JSON.parse(data.slice(6))), 'live');
      }
    }
  } finally {
    clearTimeout(silence);
    signal.removeEventListener('abort', end);
  }
}

/** The first event tells of latencies since the start, which don't belong among those of seconds. */
function sinceLast(event) {
  if (event.seconds === undefined) {
    for (const part of [event, ...event.functions]) delete part.latency;
    delete event.endToEnd;
    delete event.epochs.duration;
  }
  return event;
}

/** Asks for a while, and then it is time to try events again. */
async function poll(signal) {
  for (let asked = 0; asked < POLLS_BEFORE_EVENTS; asked += 1) {
    const [status, functions, ingresses, egresses, epochs] = await Promise.all([
      get('v1/status', {}, signal),
      get('v1/functions', { limit: FUNCTIONS_MAX }, signal),
      get('v1/ingresses', {}, signal),
      get('v1/egresses', {}, signal),
      get('v1/epochs', { limit: 100 }, signal),
    ]);
    take(asLive(status, functions.functions, ingresses.ingresses, egresses.egresses, epochs), 'polling');
    await pause(POLL_EVERY, signal);
    if (signal.aborted) return;
  }
}

/** Answers of lists in the form of an event. */
function asLive(status, functions, ingresses, egresses, { last, epochs }) {
  const before = live.latest;
  const seconds = before ? (Date.now() - before.time) / 1000 : undefined;
  const sum = (values) => values.reduce((total, value) => total + (value ?? 0), 0);
  const fresh = epochs.filter((epoch) => before && epoch.number > before.epochs.last);
  const failures = sum(functions.map((one) => one.failures));
  const worst = functions.map((one) => one.latency).filter(Boolean).sort((a, b) => b.count - a.count)[0];
  const durations = fresh.map((epoch) => epoch.durationMs).sort((a, b) => a - b);
  const sources = (ingress, field) => {
    const lags = ingress.sources.map((source) => source[field]).filter((lag) => lag !== undefined);
    if (lags.length === 0) return undefined;
    return field === 'lagMs' ? Math.max(...lags) : sum(lags);
  };
  return {
    at: new Date().toISOString(),
    seconds,
    total: status.total,
    rate: functions.some((one) => one.rateIn !== undefined) ? sum(functions.map((one) => one.rateIn)) : undefined,
    latency: worst,
    failures,
    failureRate: before?.failures === undefined ? undefined : Math.max(0, failures - before.failures) / seconds,
    failing: sum(functions.map((one) => one.failing)),
    epochs: {
      last,
      count: fresh.length,
      bytes: sum(fresh.map((epoch) => epoch.bytes)),
      duration: durations.length
        ? { p50Ms: durations[durations.length >> 1], p99Ms: durations.at(-1), count: durations.length }
        : undefined,
    },
    functions: functions.map((one) => ({ ...one, mail: one.mail ?? 0 })),
    ingresses: ingresses.map((one) => ({
      id: one.id,
      rate: one.rate,
      lagRecords: sources(one, 'lagRecords'),
      lagBytes: sources(one, 'lagBytes'),
      lagMs: sources(one, 'lagMs'),
      paused: Boolean(one.paused),
    })),
    egresses,
  };
}

function take(event, mode) {
  event.time = Date.now();
  live.latest = event;
  live.points.push(event);
  while (live.points[0].time < event.time - WINDOW - 2000) live.points.shift();
  change(mode);
}

function change(mode) {
  live.mode = mode;
  for (const watcher of watchers) watcher();
}

function pause(time, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, time);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** What a figure was: pairs of a time and a value. */
export const series = (pick) => live.points.map((point) => [point.time, pick(point)]);

/** The same of one function type. */
export const functionSeries = (name, pick) =>
  series((point) => {
    const found = point.functions.find((one) => one.name === name);
    return found && pick(found);
  });
