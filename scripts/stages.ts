import { existsSync } from 'node:fs';

/** One thing that has to be right; `report` says where a stage of tests leaves its numbers. */
export interface Stage {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  readonly report?: string;
}

export const resultsDir = 'test-results';

const folders = ['src', 'cli', 'lab', 'demo', 'test', 'bench', 'integrations', 'scripts'].filter(
  existsSync,
);

const code: readonly Stage[] = [
  { name: 'biome', command: ['biome', 'check', '--error-on-warnings'] },
  { name: 'types', command: ['tsc', '--pretty', 'false'] },
  { name: 'eslint', command: ['eslint', '.'] },
  { name: 'imports', command: ['depcruise', ...folders] },
  { name: 'knip', command: ['knip'] },
];

const tidy: Stage = {
  name: 'tidy',
  command: ['vitest', 'run', '--project', 'unit', 'test/tidy.test.ts', 'test/docs.test.ts'],
};

/** A project without a directory has no tests in this checkout; one without tests fails. */
const projects = ['unit', 'property', 'system', 'lab', 'vm'];

/** The lists behind `npm run check`, `npm test` and `npm run test:long`. */
export const stageLists: Readonly<Record<string, readonly Stage[]>> = {
  check: [...code, tidy],
  test: [...code, ...projects.filter((name) => existsSync(`test/${name}`)).map(testStage)],
  long: [testStage('long')],
};

/** One project of vitest.config.ts. */
function testStage(project: string): Stage {
  const report = `${resultsDir}/${project}.json`;
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  return {
    name: project,
    command: ['vitest', 'run', '--project', project, ...reporters],
    report,
  };
}
