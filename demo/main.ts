import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { resultInWords } from '../cli/report/move.ts';
import { msInWords } from '../cli/words.ts';
import type { MoveResult } from '../src/index.ts';
import { createDemoLab, type DemoLab } from './lab.ts';
import { type Answer, createRecord, type Record } from './record.ts';
import { closingTable, createShow, type Leg, type Show } from './show.ts';

const address = '10.77.0.100';
const job = 'web';
/**
 * Debian's nginx as it is. Its workers keep root's uid because CRIU cannot dump another one without
 * CAP_SYS_RESOURCE, which root in a container may lack.
 */
const server = ['nginx', '-g', 'user root;'];
/**
 * A page of one packet. With `tcp_nopush`, Debian's default, the last packet of a longer page waits
 * for 60 ms now and then, moved or not, and that would be all there is to see.
 */
const page = '/index.nginx-debian.html';
/** Between two requests of the client. */
const pauseSeconds = 0.02;
/**
 * So long is looked at before, between and after the moves. nginx closes a connection after 1000
 * requests, so all of it together must not take twenty seconds, on a busy machine either.
 */
const lookMs = 1_200;
/** Exit codes of a move that was done, the second one with warnings. */
const moved: readonly number[] = [0, 3];
const readyTimeoutMs = 10_000;

/** A web server moves from a to b and back under a client's eyes; 0 when nothing was lost. */
async function demo(lab: DemoLab, terminal: NodeJS.WriteStream): Promise<number> {
  const macs = new Map<string, string>();
  const show = createShow({
    write: (text) => void terminal.write(text),
    isTerminal: terminal.isTTY === true,
    hostOf: (mac) => macs.get(mac) ?? '?',
  });
  show.step(
    'making three hosts, a, b and c (the first time, their root file system too: a minute)',
  );
  await lab.up(['a', 'b', 'c']);
  for (const host of ['a', 'b']) macs.set(await macOf(lab, host), host);

  show.step(`an unmodified web server, as a job with an address of its own, on a`);
  const start = ['migrate', 'run', job, '--l3', '--ip', `${address}/24`, '--', ...server];
  show.typed('a', start);
  await must(lab, 'a', start);
  await ready(lab);

  show.step('a client on c asks on one connection; answered by the host whose MAC has the address');
  const record = createRecord();
  const client = lab.start('c', clientCommand(), (line) => {
    const answer = JSON.parse(line) as Answer;
    record.add(answer);
    show.answer(answer);
  });
  await firstAnswer(record);
  await sleep(lookMs);
  const there = await move(lab, ['a', 'b'], show, record);
  const back = await move(lab, ['b', 'a'], show, record);
  await client.stop();
  show.flush();
  return verdict([there, back], record, show);
}

async function firstAnswer(record: Record): Promise<void> {
  const end = performance.now() + readyTimeoutMs;
  while (record.total().answered === 0) {
    if (performance.now() > end) throw new Error('the client got no answer');
    await sleep(pauseSeconds * 1000);
  }
}

/** One move, and what the client saw from its beginning until a moment after its end. */
async function move(
  lab: DemoLab,
  [from, to]: readonly [string, string],
  show: Show,
  record: Record,
): Promise<Leg> {
  const command = ['migrate', job, to];
  show.typed(from, command);
  record.begin();
  let last = '';
  const { exit, lastWords } = await lab.exec(from, [...command, '--json'], (line) => {
    last = line;
  });
  if (!moved.includes(exit)) throw new Error(`${command.join(' ')} failed: ${lastWords}`);
  const result = JSON.parse(last) as MoveResult;
  for (const warning of result.warnings) show.said(`warning: ${warning}`);
  show.said(resultInWords(result));
  await sleep(lookMs);
  return { result, seen: record.stretch() };
}

function verdict(legs: readonly Leg[], record: Record, show: Show): number {
  const total = record.total();
  show.plain(`\n${closingTable(legs, total)}\n`);
  if (total.lost > 0 || total.answered === 0) {
    show.plain(`lost ${total.lost} of ${total.answered + total.lost}: ${total.firstLoss}\n`);
    return 1;
  }
  const times = total.connections === 1 ? 'one connection' : `${total.connections} connections`;
  const pause = msInWords(pauseSeconds * 1000);
  show.plain(`lost 0 of ${total.answered} requests, on ${times}\n`);
  show.plain(
    `silence: the longest time without an answer, ${pause} of the client's own included\n`,
  );
  return 0;
}

async function macOf(lab: DemoLab, host: string): Promise<string> {
  return must(lab, host, ['cat', '/sys/class/net/eth0/address']);
}

/** The server has started when it answers; how long that takes is not what is shown here. */
async function ready(lab: DemoLab): Promise<void> {
  const seconds = String(readyTimeoutMs / 1000);
  const retry = ['--retry', seconds, '--retry-delay', '1', '--retry-connrefused'];
  await must(lab, 'c', ['curl', '-sS', '-o', '/dev/null', ...retry, `http://${address}${page}`]);
}

/** Runs a command that has to succeed; resolves to the last line that it printed. */
async function must(lab: DemoLab, host: string, command: readonly string[]): Promise<string> {
  let last = '';
  const { exit, lastWords } = await lab.exec(host, command, (line) => {
    last = line;
  });
  if (exit !== 0) throw new Error(`on ${host}: ${command.join(' ')}: ${lastWords}`);
  return last;
}

function clientCommand(): string[] {
  const program = readFileSync(join(import.meta.dirname, 'client.py'), 'utf8');
  return ['python3', '-c', program, address, page, String(pauseSeconds)];
}

/** Runs the demo in a lab of its own, and takes that down whatever happens. */
async function main(): Promise<number> {
  if (process.getuid?.() !== 0) return fail('the demo makes namespaces: only root can run it');
  const stop = new AbortController();
  let received: NodeJS.Signals | undefined;
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      received ??= name;
      stop.abort(new Error(`${name}: taking the lab down`));
    });
  }
  // Whoever watched has gone; the lab must go all the same.
  process.stdout.on('error', (error: Error) => stop.abort(error));
  const name = process.env.LAB || 'demo';
  const lab = createDemoLab(name, stop.signal);
  let exit = 1;
  let isOurs = false;
  try {
    if (await lab.exists()) {
      return fail(`lab ${name} exists; another demo? If not: LAB=${name} npm run -s lab -- down`);
    }
    isOurs = true;
    exit = await demo(lab, process.stdout);
  } catch (error) {
    exit = fail(messageOf(error));
  } finally {
    if (isOurs) await lab.down().catch((error: unknown) => fail(messageOf(error)));
  }
  return received === undefined ? exit : signalled + constants.signals[received];
}

/** As shells report a program that a signal ended. */
const signalled = 128;

function fail(message: string): number {
  process.stderr.write(`demo: ${message}\n`);
  return 1;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

process.exitCode = await main();
