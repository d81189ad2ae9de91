import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  type AgentChannel,
  type Connection,
  connect,
  type PeerHandlers,
  startAgent,
} from '../../src/transport/index.ts';
import { bundleAgent } from '../support/bundle-agent.ts';
import { freePort, makeKey, startSshd, type TestSshd } from '../support/sshd.ts';

let sshd: TestSshd;
let agentFile: string;
const connections: Connection[] = [];

beforeAll(async () => {
  sshd = await startSshd();
  agentFile = await bundleAgent('transport-agent.ts', join(sshd.dir, 'agent.cjs'));
});

beforeEach(() => {
  sshd.setKnownHosts();
  sshd.configure();
});

afterEach(async () => {
  await Promise.all(connections.splice(0).map((connection) => connection.close()));
});

afterAll(async () => sshd.stop());

async function open(host = 'lab'): Promise<Connection> {
  const connection = await connect(host, { configFile: sshd.configFile });
  connections.push(connection);
  return connection;
}

async function start(handlers: PeerHandlers = {}): Promise<AgentChannel> {
  return startAgent(await open(), { path: agentFile }, handlers);
}

function otherKey(): string {
  const path = join(sshd.dir, `other-${readdirSync(sshd.dir).length}`);
  makeKey(path, 'ed25519');
  return readFileSync(`${path}.pub`, 'utf8').split(' ').slice(0, 2).join(' ');
}

describe('the host key', () => {
  const name = () => `[127.0.0.1]:${sshd.port}`;

  test('that is known is accepted, also under a hashed name', async () => {
    await open();
    execFileSync('ssh-keygen', ['-H', '-f', sshd.knownHosts], { stdio: 'ignore' });
    expect(readFileSync(sshd.knownHosts, 'utf8')).toMatch(/^\|1\|/);
    await open();
  });

  test('that is unknown is refused, with its fingerprint and how to add it', async () => {
    sshd.setKnownHosts('');
    const printed = execFileSync('ssh-keygen', ['-lf', join(sshd.dir, 'host_key.pub')]).toString();
    await expect(open()).rejects.toMatchObject({
      code: 'HOST_KEY_UNKNOWN',
      message: expect.stringContaining(printed.split(' ')[1] ?? '?'),
      details: { hint: expect.stringContaining('ssh lab true') },
    });
  });

  test('is not accepted because the configuration says that checks are off', async () => {
    sshd.setKnownHosts('');
    sshd.configure(['StrictHostKeyChecking no', 'NoHostAuthenticationForLocalhost yes']);
    await expect(open()).rejects.toMatchObject({ code: 'HOST_KEY_UNKNOWN' });
  });

  test('that changed is refused', async () => {
    sshd.setKnownHosts(`${name()} ${otherKey()}\n`);
    await expect(open()).rejects.toMatchObject({
      code: 'HOST_KEY_CHANGED',
      message: expect.stringContaining(`${sshd.knownHosts}:1`),
    });
  });

  test('that is revoked is refused, wherever that is said', async () => {
    sshd.setKnownHosts(`${name()} ${sshd.hostKey}\n@revoked * ${sshd.hostKey}\n`);
    await expect(open()).rejects.toMatchObject({ code: 'HOST_KEY_CHANGED' });
    sshd.setKnownHosts();
    const list = join(sshd.dir, 'revoked');
    writeFileSync(list, `${sshd.hostKey}\n`);
    sshd.configure([`RevokedHostKeys ${list}`]);
    await expect(open()).rejects.toMatchObject({ code: 'HOST_KEY_CHANGED' });
  });

  test('is asked for in the type that is known, even if it is not the first choice', async () => {
    const rsa = join(sshd.dir, 'host_rsa');
    makeKey(rsa, 'rsa');
    const second = await startSshd({ config: [`HostKey ${rsa}`] });
    try {
      const key = readFileSync(`${rsa}.pub`, 'utf8').split(' ').slice(0, 2).join(' ');
      second.setKnownHosts(`[127.0.0.1]:${second.port} ${key}\n`);
      const connection = await connect('lab', { configFile: second.configFile });
      await connection.close();
    } finally {
      await second.stop();
    }
  });

  test('is looked up under HostKeyAlias', async () => {
    sshd.setKnownHosts(`web.cluster ${sshd.hostKey}\n`);
    await expect(open()).rejects.toMatchObject({ code: 'HOST_KEY_UNKNOWN' });
    sshd.configure(['HostKeyAlias web.cluster']);
    await open();
  });

  test('is not trusted when a known_hosts file cannot be read', async () => {
    sshd.configure([`GlobalKnownHostsFile ${sshd.dir}`]);
    await expect(open()).rejects.toMatchObject({ code: 'HOST_KEY_UNKNOWN' });
  });
});

describe('a host that cannot be reached', () => {
  test('refuses the port', async () => {
    sshd.configure([`Port ${await freePort()}`]);
    await expect(open()).rejects.toMatchObject({
      code: 'HOST_UNKNOWN',
      message: expect.stringContaining('refuses the connection'),
    });
  });

  test('has a name that does not resolve', async () => {
    sshd.configure(['HostName no-such-host.invalid']);
    await expect(open()).rejects.toMatchObject({
      code: 'HOST_UNKNOWN',
      message: expect.stringContaining('does not resolve'),
    });
  });

  test('speaks something else', async () => {
    const { createServer } = await import('node:net');
    const server = createServer((socket) => socket.end('220 mail ESMTP\r\n'));
    const port = await freePort();
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    sshd.configure([`Port ${port}`]);
    await expect(open()).rejects.toMatchObject({ code: 'HOST_UNKNOWN' });
    await new Promise((resolve) => server.close(resolve));
  });

  test('says nothing at all for ConnectTimeout', async () => {
    const { createServer } = await import('node:net');
    const server = createServer((socket) => socket.resume());
    const port = await freePort();
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    sshd.configure([`Port ${port}`, 'ConnectTimeout 1']);
    await expect(open()).rejects.toMatchObject({ code: 'HOST_UNKNOWN' });
    await new Promise((resolve) => server.close(resolve));
  });
});

describe('the login', () => {
  test('fails with AUTH_FAILED when no key is accepted, or there is none', async () => {
    makeKey(join(sshd.dir, 'stranger'), 'ed25519');
    sshd.configure([], `Host lab\n  IdentityFile ${sshd.dir}/stranger\nHost other\n`);
    const own = join(sshd.dir, 'id');
    const kept = readFileSync(join(sshd.dir, 'authorized'));
    writeFileSync(join(sshd.dir, 'authorized'), '');
    await expect(open()).rejects.toMatchObject({ code: 'AUTH_FAILED' });
    writeFileSync(join(sshd.dir, 'authorized'), kept);
    await open();
    expect(existsSync(own)).toBe(true);
    const lines = readFileSync(sshd.configFile, 'utf8').split('\n');
    const keyless = lines.filter((line) => !line.includes('IdentityFile'));
    writeFileSync(sshd.configFile, [...keyless, '  IdentityFile none'].join('\n'));
    await expect(open()).rejects.toMatchObject({
      code: 'AUTH_FAILED',
      message: expect.stringContaining('no key to offer'),
    });
  });

  test('uses the SSH agent, and skips an encrypted file without asking', async () => {
    const locked = join(sshd.dir, 'locked');
    makeKey(locked, 'ed25519', 'secret words');
    const kept = readFileSync(join(sshd.dir, 'authorized'));
    copyFileSync(`${locked}.pub`, join(sshd.dir, 'authorized'));
    const withKey = (agent: string) =>
      writeFileSync(
        sshd.configFile,
        readFileSync(sshd.configFile, 'utf8')
          .replace(/IdentityFile .*/, `IdentityFile ${locked}\n  IdentitiesOnly yes`)
          .replace(/IdentityAgent .*/, `IdentityAgent ${agent}`),
      );
    withKey('none');
    await expect(open()).rejects.toMatchObject({ code: 'AUTH_FAILED' });
    const socket = join(sshd.dir, 'agent.sock');
    const printed = execFileSync('ssh-agent', ['-s', '-a', socket]).toString();
    const pid = Number(/SSH_AGENT_PID=(\d+)/.exec(printed)?.[1]);
    try {
      const answer = join(sshd.dir, 'answer');
      writeFileSync(answer, '#!/bin/sh\necho secret words\n', { mode: 0o700 });
      execFileSync('ssh-add', [locked], {
        env: {
          ...process.env,
          SSH_AUTH_SOCK: socket,
          SSH_ASKPASS: answer,
          SSH_ASKPASS_REQUIRE: 'force',
        },
        stdio: 'ignore',
      });
      withKey(socket);
      await open();
    } finally {
      process.kill(pid);
      writeFileSync(join(sshd.dir, 'authorized'), kept);
    }
  });
});

describe('jump hosts', () => {
  test('lead on, and each one shows a key that is checked', async () => {
    const far = await startSshd();
    try {
      const block = (host: string, jump: string, port: number, dir: string) =>
        `Host ${host}\n  Port ${port}\n  IdentityFile ${dir}/id\n` +
        `  UserKnownHostsFile ${dir}/known_hosts\n` +
        (jump === '' ? '' : `  ProxyJump ${jump}\n`);
      writeFileSync(
        sshd.configFile,
        block('far', 'near', far.port, far.dir) +
          block('near', '', sshd.port, sshd.dir) +
          'Host *\n  HostName 127.0.0.1\n  IdentityAgent none\n  GlobalKnownHostsFile none\n',
      );
      const connection = await open('far');
      const agent = await startAgent(connection, { path: agentFile });
      expect(await agent.peer.call('echo', 'hello')).toBe('hello');
      await agent.peer.close();
      sshd.setKnownHosts('');
      await expect(open('far')).rejects.toMatchObject({ code: 'HOST_KEY_UNKNOWN' });
      sshd.setKnownHosts();
      far.setKnownHosts('');
      await expect(open('far')).rejects.toMatchObject({ code: 'HOST_KEY_UNKNOWN' });
    } finally {
      await far.stop();
    }
  });

  test('that go in circles are refused', async () => {
    writeFileSync(sshd.configFile, 'Host a\n  ProxyJump b\nHost b\n  ProxyJump a\n');
    await expect(open('a')).rejects.toMatchObject({ code: 'HOST_UNKNOWN' });
  });
});

describe('the agent', () => {
  const cache = () => join(sshd.home, '.cache', 'migrate');

  test('is sent once, kept under its hash, and found the next time', async () => {
    const first = await start();
    expect(first.wasUploaded).toBe(true);
    const [name] = readdirSync(cache());
    const sha256 = execFileSync('sha256sum', [agentFile]).toString().slice(0, 64);
    expect(readdirSync(cache())).toEqual([`agent-${sha256}.cjs`]);
    expect(statSync(cache()).mode & 0o777).toBe(0o700);
    expect(statSync(join(cache(), name ?? '')).mode & 0o777).toBe(0o600);
    const second = await start();
    expect(second.wasUploaded).toBe(false);
    expect(await second.peer.call('pid')).toBe(second.pid);
  });

  test('may be sent twice at once', async () => {
    for (const name of readdirSync(cache())) execFileSync('rm', [join(cache(), name)]);
    const agents = await Promise.all([start(), start(), start()]);
    for (const agent of agents) expect(await agent.peer.call('echo', 1)).toBe(1);
    expect(readdirSync(cache())).toHaveLength(1);
  });

  test('answers, refuses with its own errors, and streams both ways', async () => {
    let received = 0;
    const agent = await start({
      onStream: async (_name, source) => {
        for await (const bytes of source) received += bytes.byteLength;
      },
    });
    await expect(agent.peer.call('refuse')).rejects.toMatchObject({
      code: 'RESTORE_FAILED',
      details: { side: 'target', phase: 'restore' },
    });
    const sink = agent.peer.openSink('memory');
    await sink.write(Buffer.alloc(20 * 1024 * 1024));
    await sink.end();
    await agent.peer.call('sendBack', 20 * 1024 * 1024);
    expect(received).toBe(20 * 1024 * 1024);
    await agent.peer.call('complain');
    await expect.poll(() => agent.stderrTail()).toBe('?[31msomething is wrong?');
  });

  test('that falls over says why', async () => {
    const agent = await start();
    const pending = agent.peer.call('crash').then(() => agent.peer.call('echo', 1));
    await expect(pending).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
    expect(await agent.peer.closed).toMatchObject({
      how: 'ended',
      error: { message: expect.stringContaining('RangeError: the agent fell over') },
    });
  });

  test('that is no agent, and a host without node, are told apart', async () => {
    const broken = join(sshd.dir, 'broken.cjs');
    writeFileSync(broken, 'throw new SyntaxError("not for this version");');
    const connection = await open();
    await expect(startAgent(connection, { path: broken })).rejects.toMatchObject({
      code: 'AGENT_FAILED',
      message: expect.stringContaining('not for this version'),
    });
    const tools = join(sshd.dir, 'tools');
    mkdirSync(tools);
    for (const tool of ['sh', 'cat', 'mv', 'mkdir', 'chmod', 'sha256sum', 'rm', 'find']) {
      const path = execFileSync('sh', ['-c', `command -v ${tool}`])
        .toString()
        .trim();
      execFileSync('ln', ['-s', path, join(tools, tool)]);
    }
    const bare = await startSshd({ config: [`SetEnv HOME=${sshd.home} PATH=${tools}`] });
    try {
      const there = await connect('lab', { configFile: bare.configFile });
      await expect(startAgent(there, { path: agentFile })).rejects.toMatchObject({
        code: 'AGENT_FAILED',
        message: expect.stringContaining('there is no node'),
      });
      await there.close();
    } finally {
      await bare.stop();
    }
  });

  test('is found behind the noise of start-up files', async () => {
    const noisy = await startSshd({
      config: ['ForceCommand echo welcome; eval "$SSH_ORIGINAL_COMMAND"'],
    });
    try {
      const connection = await connect('lab', { configFile: noisy.configFile });
      const agent = await startAgent(connection, { path: agentFile });
      expect(await agent.peer.call('echo', 'x')).toBe('x');
      await connection.close();
    } finally {
      await noisy.stop();
    }
  });

  test('is lost with its connection, at once when sshd dies', async () => {
    const connection = await open();
    const agent = await startAgent(connection, { path: agentFile });
    const before = sshd.connectionPids();
    const sink = agent.peer.openSink('memory');
    const writing = (async () => {
      for (;;) await sink.write(Buffer.alloc(1024 * 1024));
    })();
    const outcomes = Promise.allSettled([writing, agent.peer.call('crash-not', 1, {})]);
    const started = performance.now();
    for (const pid of before) process.kill(pid, 'SIGKILL');
    expect(await agent.peer.closed).toMatchObject({ error: { code: 'CONNECTION_LOST' } });
    expect(performance.now() - started).toBeLessThan(5_000);
    const [written] = await outcomes;
    expect(written).toMatchObject({ status: 'rejected', reason: { code: 'CONNECTION_LOST' } });
    expect((await connection.closed).code).toBe('CONNECTION_LOST');
    await expect(connection.exec('true')).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
  });

  test('ends when the connection is closed', async () => {
    const agent = await start();
    await agent.peer.close();
    await expect.poll(() => existsSync(`/proc/${agent.pid}`), { timeout: 5_000 }).toBe(false);
  });
});
