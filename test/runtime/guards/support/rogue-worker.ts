/** A guard thread that breaks the rules: each job says which, in its expression. Used with the real host. */
import { type MessagePort, workerData } from 'node:worker_threads';

const { port } = workerData as { port: MessagePort };
const PASS = { verdict: 'pass', reason: 'rogue' };

type Send = (message: unknown) => void;

const began = (id: number) => JSON.stringify({ id, began: true });
const verdict = (id: number, content: unknown = PASS) => JSON.stringify({ id, verdict: content });
const ended = (id: number) => JSON.stringify({ id, spent: false });

const MODES: Record<string, (id: number, send: Send) => void> = {
  ok: (id, send) => [began(id), verdict(id), ended(id)].forEach(send),
  surroundings: (id, send) => {
    const { env, argv, execArgv } = process;
    const reason = JSON.stringify({ env, argv: argv.slice(2), execArgv });
    [began(id), verdict(id, { verdict: 'pass', reason }), ended(id)].forEach(send);
  },
  'no answer': (id, send) => send(began(id)),
  'no end': (id, send) => [began(id), verdict(id)].forEach(send),
  'a busy loop': (id, send) => {
    send(began(id));
    for (;;);
  },
  'answers twice': (id, send) => [began(id), verdict(id), verdict(id), ended(id)].forEach(send),
  'ends without an answer': (id, send) => [began(id), ended(id)].forEach(send),
  'answers before it begins': (id, send) => [verdict(id), ended(id)].forEach(send),
  'begins twice': (id, send) => [began(id), began(id), verdict(id), ended(id)].forEach(send),
  'the next id': (id, send) => [began(id), verdict(id + 1), ended(id)].forEach(send),
  'the id as a string': (id, send) => [began(id), verdict(`${id}` as unknown as number)].forEach(send),
  'no id': (id, send) => [began(id), JSON.stringify({ verdict: PASS })].forEach(send),
  true: (_id, send) => send('true'),
  'the number 1': (_id, send) => send(1),
  'an object': (id, send) => send({ id, began: true }),
  'an array': (_id, send) => send('[]'),
  'no JSON': (id, send) => [began(id), "{'id': 1}"].forEach(send),
  'duplicate keys': (id, send) =>
    [began(id), `{"id":${id},"verdict":{"verdict":"fail","verdict":"pass","reason":""}}`].forEach(send),
  'a __proto__ member': (id, send) =>
    [began(id), `{"id":${id},"verdict":{"__proto__":{},"verdict":"pass","reason":""}}`].forEach(send),
  'a verdict and more': (id, send) =>
    [began(id), JSON.stringify({ id, verdict: PASS, spent: false })].forEach(send),
  'an extra member': (id, send) => [began(id), verdict(id, { ...PASS, score: 1 })].forEach(send),
  'pass with a wait': (id, send) => [began(id), verdict(id, { ...PASS, retryAfterMs: 1 })].forEach(send),
  'a wait of no time': (id, send) =>
    [began(id), verdict(id, { verdict: 'defer', reason: '', retryAfterMs: 0 })].forEach(send),
  'a long reason': (id, send) => [began(id), verdict(id, { ...PASS, reason: 'r'.repeat(501) })].forEach(send),
  'a long message': (id, send) =>
    [began(id), verdict(id, { ...PASS, reason: 'r'.repeat(1e6) })].forEach(send),
  'half a character': (id, send) => [began(id), verdict(id, { ...PASS, reason: '\ud800' })].forEach(send),
  'a flood': (id, send) => {
    send(began(id));
    for (let count = 0; count < 10_000; count++) send(verdict(id));
  },
  throws: (id, send) => {
    send(began(id));
    throw new Error('rogue');
  },
  exits: (id, send) => {
    send(began(id));
    process.exit(0);
  },
  'closes the port': (id, send) => {
    send(began(id));
    port.close();
  },
  'fills its heap': (id, send) => {
    send(began(id));
    const kept: unknown[][] = [];
    for (;;) kept.push(new Array(10_000).fill(kept.length));
  },
};

port.on('message', (text: string) => {
  const { id, job } = JSON.parse(text);
  MODES[job.expression]?.(id, (message) => port.postMessage(message));
});
