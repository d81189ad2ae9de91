import { readFileSync } from 'node:fs';
import { networkNamespace } from '../../src/host/syscall-ids.ts';

/** For test/system/native-bundle.test.ts: makes a system call only when it is asked to. */
const answer = process.argv[2] === 'call' ? networkNamespace().inode : 'idle';
const loaded = readFileSync('/proc/self/maps', 'utf8').includes('koffi.node');
process.stdout.write(JSON.stringify({ answer: String(answer), loaded }));
