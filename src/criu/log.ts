import { writeFile } from 'node:fs/promises';
import type { ErrorCode } from '../base/codes.ts';
import { MigrateError, tidyText } from '../base/errors.ts';
import { readIfPresent } from '../host/files.ts';

/** Causes that CRIU names in its own words, and what a person can do about each. */
const knownCauses: readonly { readonly pattern: RegExp; readonly hint: string }[] = [
  {
    pattern: /vdso: Unexpected rt vDSO area bounds/,
    hint: 'this CRIU is too old for the kernel (criu issue 2532): install 4.1 or newer',
  },
  {
    pattern: /Can't get 1:16 opt: Operation not supported/,
    hint: 'this CRIU cannot dump TCP sockets on kernels from 6.16 on: install 4.2 or newer',
  },
  {
    pattern: /Can't open file .* on restore: No such file|Can't open .*: No such file or directory/,
    hint: 'the file must be on the target too, at the same path',
  },
  {
    pattern: /has bad size|has bad mode|bad build-ID/i,
    hint: 'the file differs between the hosts: install the same version on both',
  },
  {
    pattern: /Can't bind inet socket.*Cannot assign requested address/,
    hint: 'an address of the job is missing on the target',
  },
  {
    pattern: /Can't get rlimit|Can't dump rlimits/,
    hint: 'this host lacks CAP_SYS_RESOURCE, so it cannot dump a job of another user',
  },
  {
    pattern: /fork.*File exists|Pid .* do(es)? not match/,
    hint: 'a process id of the job is in use on the target',
  },
  {
    pattern: /io_uring|MPTCP|Unsupported socket|protocol \d+ .*not supported|SCTP/i,
    hint: 'CRIU cannot dump this kind of socket or ring; see docs/limits.md',
  },
];

/** Lines that CRIU marks as errors although it goes on. */
const harmless = /RLIMIT_NOFILE|Unable to open tun|tun: Unable/;

/**
 * An error that begins with what CRIU said first. The whole log is kept as `keepAs`, because the
 * directory of the move goes with the rollback; the next failure of the same job overwrites it.
 */
export async function criuError(
  code: ErrorCode,
  logPath: string,
  status: number,
  keepAs: string,
): Promise<MigrateError> {
  const log = (await readIfPresent(logPath)) ?? '';
  await writeFile(keepAs, log, { mode: 0o600 }).catch(() => undefined);
  const errors = log.split('\n').filter((line) => /Error \(/.test(line) && !harmless.test(line));
  const first = errors[0]?.replace(/^\([\d.]+\)\s*(\d+:\s*)?/, '').replace(/^Error \(.*?\): /, '');
  const hint = knownCauses.find(({ pattern }) => errors.some((line) => pattern.test(line)))?.hint;
  return new MigrateError(code, `CRIU: ${tidyText(first ?? `ended with status ${status}`)}`, {
    logs: [keepAs],
    ...(hint === undefined ? {} : { hint }),
  });
}
