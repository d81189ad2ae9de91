import { execaSync } from 'execa';
import { expect, test } from 'vitest';
import { compileBindFilter, compiler } from '../../scripts/build-bpf.ts';
import { bindFilterObject } from '../../src/network/l3/bindfilter-object.ts';

const hasCompiler = execaSync(compiler, ['--version'], { reject: false }).exitCode === 0;
const testCompiler = test.skipIf(!hasCompiler); // only clang 14 makes these bytes; CI has it

testCompiler('the object is what its source compiles to', () => {
  expect(compileBindFilter().equals(bindFilterObject())).toBe(true);
});
