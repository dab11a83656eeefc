// Requests to the admin API of the engine that served this page.

const TOKEN = 'statera-token';

/** Why a request was not served, in the words of the engine. */
export class Problem extends Error {
  constructor(status, { detail, hint, code } = {}) {
    super(detail ?? `the engine answered with status ${status}`);
    this.status = status;
    this.code = code;
    this.hint = hint;
  }
}

/** Nobody answers. */
export class Unreachable extends Problem {
  constructor() {
    const hint = 'see whether it still runs; this page goes on by itself when it is back';
    super(0, { detail: 'the engine does not answer', hint });
  }
}

let tokenAsker = async () => null;
let asking = null;

/** Who asks for the token when it is missing or wrong: gets the problem, returns a token or null. */
export const setTokenAsker = (asker) => {
  tokenAsker = asker;
};

/** Fetches; asks for the token when one is needed, once for all requests that wait for it. */
export async function open(path, options = {}) {
  for (;;) {
    const token = sessionStorage.getItem(TOKEN);
    const headers = { ...options.headers, ...(token && { Authorization: `Bearer ${token}` }) };
    let answer;
    try {
      answer = await fetch(path, { ...options, headers });
    } catch (error) {
      if (error.name === 'AbortError') throw error;
      throw new Unreachable();
    }
    if (answer.ok) return answer;
    const problem = new Problem(answer.status, await answer.json().catch(() => ({})));
    if (answer.status !== 401) throw problem;
    // Somebody else may have got one meanwhile.
    if (token === sessionStorage.getItem(TOKEN)) {
      asking ??= tokenAsker(problem).finally(() => {
        asking = null;
      });
      const given = await asking;
      if (!given) throw problem;
      sessionStorage.setItem(TOKEN, given);
    }
  }
}

async function ask(method, path, { query, body, signal } = {}) {
  const wanted = Object.entries(query ?? {}).filter(([, value]) => value !== undefined && value !== '' && value !== null);
  // Not URLSearchParams, which writes a space as a plus.
  const text = wanted.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&');
  const answer = await open(text ? `${path}?${text}` : path, {
    method,
    signal,
    ...(body !== undefined && {
      body: JSON.stringify(body),
      headers: { 'Content-Type': 'application/json' },
    }),
  });
  return answer.json();
}

export const get = (path, query, signal) => ask('GET', path, { query, signal });
export const post = (path, body) => ask('POST', path, { body });
export const put = (path, body) => ask('PUT', path, { body });
export const remove = (path) => ask('DELETE', path);
