import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { laterCommands } from '../../../cli/later.ts';
import { separateCommand } from '../../../cli/separate-command.ts';
import { moved, runCli, webJob } from '../../support/fake-cli.ts';

const dir = mkdtempSync(join(tmpdir(), 'cli-usage-'));
afterAll(() => rmSync(dir, { recursive: true }));

describe('a wrong command line ends with 2 and says why in one line', () => {
  const l3 = ['run', 'x', '--l3', '--ip', '10.77.1.1/16'];
  const wrong: readonly [string[], RegExp][] = [
    [[], /missing required argument 'JOB'/],
    [['web'], /HOST is missing to move a job 'web', and no command has that name/],
    [['web', 'b', 'c'], /too many arguments/],
    [['web', 'b', '--dry-runn'], /unknown option '--dry-runn'/],
    [['web', 'b', '--jsn'], /unknown option '--jsn' \(Did you mean --json\?\)/],
    [['web', 'b', '--mode', 'fast'], /'fast' is not a mode; there are auto, stop-copy, pre-copy/],
    [['web', 'b', '--compress', 'gzip'], /'gzip' is no way to compress; there are auto, zstd/],
    [['web', 'b', '--bandwidth', '10X'], /'10X' is not a rate such as 10M or 100Mbit/],
    [['web', 'b', '--max-frozen', '0'], /'0' is not a number of milliseconds/],
    [['web', 'b', '--mode'], /option '--mode <mode>' argument missing/],
    [['web', 'b', '--timeout', '0'], /'0' is not a number of seconds/],
    [['web', 'b', '--timeout', '1e3'], /'1e3' is not a number of seconds/],
    [['web', 'b', '--timeout', '86401'], /'86401' is not a number of seconds/],
    [['--json', 'rm', 'web'], /^{"type":"error","code":"USAGE".*options of rm come after its name/],
    [['--quiet', 'ls'], /options of ls come after its name: --quiet/],
    [['ls', 'web'], /too many arguments for 'ls'/],
    [['show'], /missing required argument 'NAME'/],
    [['stop', 'web', '--timeout', 'x'], /'x' is not a number of seconds/],
    [['exec', 'web'], /missing required argument 'CMD'/],
    [['checkpoint', 'web'], /required option '-o, --output <file>' not specified/],
    [['bundle'], /give one of show, verify, extract/],
    [['bundle', 'mend', 'f'], /bundle has no 'mend', give one of show, verify, extract/],
    [['bundle', 'show'], /missing required argument 'FILE'/],
    [['restore', 'f', '--name', 'ls'], /'ls' cannot be the name of a job/],
    [['run'], /NAME is missing/],
    [['run', 'x', 'true'], /give one of --l3 and --l2/],
    [['run', 'x', '--l3', '--l2', 'true'], /give one of --l3 and --l2/],
    [['run', 'x', '--l3', 'true'], /--ip is missing/],
    [l3, /CMD is missing/],
    [[...l3, '--bridge', 'br0', 'true'], /--bridge means nothing to an l3 job/],
    [[...l3, '--rootfs', '/x', 'true'], /--rootfs means nothing to an l3 job/],
    [['run', 'x', '--l2', '--ip', '10.77.1.1/16', 'true'], /--bridge is missing/],
    [
      ['run', 'x', '--l2', '--bridge', 'br0', '--ip', '10.77.1.1/16', '--dev', 'eth0', 'true'],
      /--dev means nothing to an l2 job/,
    ],
    [['run', 'drain', '--l3', '--ip', '10.77.1.1/16', 'true'], /'drain' cannot be the name/],
    [['run', 'help', '--l3', '--ip', '10.77.1.1/16', 'true'], /'help' cannot be the name/],
    [[...l3, '--allow', 'root', 'true'], /--allow knows raw, not 'root'/],
    [
      ['run', 'x', '--l2', '--bridge', 'br0', '--ip', '10.77.1.1/16', '--allow', 'raw', 'true'],
      /--allow means nothing to an l2 job/,
    ],
    [['run', '-f', join(dir, 'absent')], /-f: ENOENT/],
    [['run', '-f', '-', '--l3'], /-f takes everything from the file, give it alone/],
    [['run', '-f', '-', '--user', 'alice'], /-f takes everything from the file, give it alone/],
  ];

  test.each(wrong)('%j', async (argv, message) => {
    const { status, out, err, calls } = await runCli(argv);
    expect(status).toBe(2);
    expect(out + err).toMatch(message);
    expect(
      err.split('\n').filter((line) => line !== '' && !line.startsWith('hint: ')),
    ).toHaveLength(out === '' ? 1 : 0);
    expect(calls).toEqual([]);
  });
});

describe('what a later version brings is refused by name', () => {
  const later = [
    ...laterCommands.map((name) => [name, 'web', 'b', '--force']),
    ...laterCommands.map((name) => [name]),
    ['bundle', 'diff', 'a', 'b'],
    ['web', 'b', '--dry-run'],
  ];

  test.each(later.map((argv) => [argv]))('%j', async (argv) => {
    const { status, err, calls } = await runCli(argv);
    expect(status).toBe(2);
    expect(err).toMatch(/^migrate: [-a-z ]+ is not in this version of migrate\n$/);
    expect(calls).toEqual([]);
  });
});

describe('what a right command line asks for', () => {
  const l3 = ['run', 'web', '--l3', '--ip', '10.77.1.1/16'];
  const web = { name: 'web', kind: 'l3', ip: ['10.77.1.1/16'] };
  const l2 = ['run', 'web', '--l2', '--bridge', 'br0', '--ip', '10.77.1.1/16'];
  const told = expect.any(Function) as unknown;
  const right: readonly [string[], unknown[]][] = [
    [
      [...l3, 'cat', '-n'],
      ['runJob', { ...web, command: ['cat', '-n'] }],
    ],
    [
      [...l3, '--', 'cat', '--json'],
      ['runJob', { ...web, command: ['cat', '--json'] }],
    ],
    [
      [...l3, 'cat', '--', '-n'],
      ['runJob', { ...web, command: ['cat', '--', '-n'] }],
    ],
    [
      ['run', 'web', '--ip=10.77.1.1/16', '--ip', 'fd77::5/64', '--l3', '--user', 'alice', 'id'],
      ['runJob', { ...web, ip: ['10.77.1.1/16', 'fd77::5/64'], user: 'alice', command: ['id'] }],
    ],
    [
      [...l3, '--dev', 'eth0', '--json', 'id'],
      ['runJob', { ...web, dev: 'eth0', command: ['id'] }],
    ],
    [
      [...l3, '--allow', 'raw', 'ping', '-c1'],
      ['runJob', { ...web, allow: ['raw'], command: ['ping', '-c1'] }],
    ],
    [
      [...l2, '--gateway', '10.77.0.1', '--rootfs', '/srv/web', 'id'],
      [
        'runJob',
        {
          ...web,
          kind: 'l2',
          bridge: 'br0',
          gateway: '10.77.0.1',
          rootfs: '/srv/web',
          command: ['id'],
        },
      ],
    ],
    [['ls'], ['listJobs']],
    [
      ['show', 'web'],
      ['findJob', 'web'],
    ],
    [
      ['exec', 'web', 'ps', '-ef'],
      ['execInJob', 'web', ['ps', '-ef']],
    ],
    [
      ['exec', 'web', '--', 'sh', '--json'],
      ['execInJob', 'web', ['sh', '--json']],
    ],
    [
      ['logs', 'web'],
      ['readLog', 'web', {}],
    ],
    [
      ['logs', '-f', 'web'],
      ['readLog', 'web', { follow: true }],
    ],
    [
      ['stop', 'web'],
      ['stopJob', 'web', {}],
    ],
    [
      ['stop', 'web', '--timeout', '1.5'],
      ['stopJob', 'web', { timeoutMs: 1500 }],
    ],
    [
      ['rm', 'web'],
      ['removeJob', 'web'],
    ],
    [
      ['checkpoint', 'web', '-o', 'f'],
      ['checkpointJob', 'web', 'f', { leaveRunning: false }],
    ],
    [
      ['checkpoint', 'pid:7', '--output=f', '--leave-running'],
      ['checkpointJob', 'pid:7', 'f', { leaveRunning: true }],
    ],
    [
      ['restore', 'f'],
      ['restoreJob', 'f', {}],
    ],
    [
      ['restore', 'f', '--name', 'n'],
      ['restoreJob', 'f', { name: 'n' }],
    ],
    [
      ['bundle', 'show', 'f'],
      ['showBundle', 'f'],
    ],
    [
      ['bundle', 'verify', 'f'],
      ['verifyBundle', 'f'],
    ],
    [
      ['bundle', 'extract', 'd/f'],
      ['extractBundle', 'd/f', 'f.d'],
    ],
    [
      ['bundle', 'extract', '-C', 'o', 'd/f'],
      ['extractBundle', 'd/f', 'o/f.d'],
    ],
    [['status'], ['listMoves']],
    [['recover'], ['recoverJobs', undefined, told, undefined]],
    [
      ['recover', 'web'],
      ['recoverJobs', 'web', told, undefined],
    ],
    [['agent'], ['runAgent']],
  ];

  test.each(right)('%j', async (argv, call) => {
    const { calls, err, status } = await runCli(argv, { api: answers });
    expect(err).toBe('');
    expect(calls).toEqual([call]);
    expect(status).toBe(0);
  });

  test('a move hands on its mode, its limits and its signal', async () => {
    const memory = ['--max-frozen', '50', '--bandwidth', '100Mbit', '--compress', 'zstd'];
    const { calls } = await runCli(
      ['web', 'b', '--mode', 'pre-copy', '--timeout', '30', ...memory],
      { api: answers },
    );
    const options = {
      ...{ mode: 'pre-copy', timeoutMs: 30_000, signal: expect.any(AbortSignal) as unknown },
      ...{ maxFrozenMs: 50, bytesPerSecond: 12_500_000, compress: 'zstd' },
    };
    expect(calls).toEqual([['moveJob', 'web', 'b', expect.objectContaining(options)]]);
  });

  test.each(['netns:blue', 'pid:42'])('%s is a job too', async (job) => {
    const { calls } = await runCli([job, 'b'], { api: answers });
    expect(calls[0]?.slice(0, 3)).toEqual(['moveJob', job, 'b']);
  });
});

describe('a batch', () => {
  const line = (name: string, more = {}) =>
    `${JSON.stringify({ name, kind: 'l3', ip: ['10.77.1.1/16'], command: ['x'], ...more })}\n`;

  test('starts the jobs of a file one after the other', async () => {
    const file = join(dir, 'jobs.jsonl');
    writeFileSync(file, `${line('j1')}\n${line('j2', { user: 'alice' })}`);
    const { calls, out } = await runCli(['run', '-f', file], { api: answers });
    expect(calls.map(([, spec]) => (spec as { name: string }).name)).toEqual(['j1', 'j2']);
    expect(out.split('\n')).toHaveLength(3);
  });

  test.each([
    ['{', /-:1: not a JSON object/],
    ['7', /-:1: not a JSON object/],
    [`${line('j1')}{}`, /-:2: "name" is missing or wrong/],
    [line('j1', { kind: 'l4' }), /-:1: "kind" is missing or wrong/],
    [line('j1', { ip: [] }), /-:1: "ip" is missing or wrong/],
    [line('j1', { command: 'x' }), /-:1: "command" is missing or wrong/],
    [line('j1', { allow: 'raw' }), /-:1: "allow" is missing or wrong/],
    [line('j1', { usr: 'alice' }), /-:1: there is no field "usr"/],
    [line('ls'), /'ls' cannot be the name of a job/],
    [line('j1') + line('j1'), /two jobs have the name j1/],
    ['\n', /no job in it/],
  ])('with a wrong line starts nothing: %j', async (input, message) => {
    const { status, err, calls } = await runCli(['run', '-f', '-'], { input, api: answers });
    expect(status).toBe(2);
    expect(err).toMatch(message);
    expect(calls).toEqual([]);
  });

  test('that a signal ends starts no further job', async () => {
    const { status, calls } = await runCli(['run', '-f', '-'], {
      input: line('j1'),
      api: answers,
      signal: 'SIGTERM',
    });
    expect(status).toBe(143);
    expect(calls).toEqual([]);
  });
});

test('the program of a job keeps its options with and without --', () => {
  expect(separateCommand(['run', 'w', '--ip', 'a', 'p', '-x'])).toEqual(
    separateCommand(['run', 'w', '--ip', 'a', '--', 'p', '-x']),
  );
  expect(separateCommand(['web', 'b', '--json'])).toEqual(['web', 'b', '--json']);
});

const answers = {
  runJob: async () => webJob,
  listJobs: async () => [webJob],
  findJob: async () => webJob,
  execInJob: async () => 0,
  async *readLog() {
    yield Buffer.from('hello\n');
  },
  stopJob: async () => {},
  removeJob: async () => {},
  moveJob: async () => moved,
  checkpointJob: async () => ({ bytes: 1, memoryBytes: 2, frozenMs: 3, sha256: '', warnings: [] }),
  restoreJob: async () => ({ ...webJob, warnings: [] }),
  showBundle: async () => ({ version: 1 }),
  verifyBundle: async () => ({ bytes: 1, sha256: '' }),
  extractBundle: async () => {},
  listMoves: async () => [],
  recoverJobs: async () => undefined,
  runAgent: async () => {},
};
