/** What each room of src/ may import besides itself; siblings are never in each other's list. */
const machine = ['host', 'base'];
const parts = ['network', 'criu', 'memory', 'bundle', 'transport', 'job'];
const mayImport = {
  base: [],
  host: ['base'],
  ...Object.fromEntries(parts.map((room) => [room, machine])),
  checkpoint: ['network', 'criu', 'memory', 'bundle', 'job', ...machine],
  restore: ['network', 'criu', 'memory', 'bundle', 'job', ...machine],
  migration: ['checkpoint', 'restore', ...parts, ...machine],
};

const rooms = Object.entries(mayImport).map(([room, below]) => ({
  name: `${room}-imports-down-only`,
  severity: 'error',
  comment: `src/${room} may import ${below.join(', ') || 'nothing of ours'}.`,
  from: { path: `^src/${room}/` },
  to: { path: '^(src|cli|lab|bench|test|integrations)/', pathNot: oneOf([room, ...below]) },
}));

/** A package or built-in module that belongs to a few rooms of src/ and cli/. */
const homes = [
  { name: 'programs', modules: ['execa', 'koffi', 'child_process'], rooms: ['src/host'] },
  { name: 'ssh2', modules: ['ssh2'], rooms: ['src/transport'] },
  { name: 'tar-stream', modules: ['tar-stream'], rooms: ['src/bundle'] },
  { name: 'msgpackr', modules: ['msgpackr'], rooms: ['src/bundle', 'src/transport'] },
  { name: 'commander', modules: ['commander'], rooms: ['cli'] },
].map(({ name, modules, rooms: homeRooms }) => ({
  name: `${name}-at-home`,
  severity: 'error',
  comment: `${modules.join(', ')}: only in ${homeRooms.join(', ')}.`,
  from: { path: '^(src|cli)/', pathNot: `^(${homeRooms.join('|')})/` },
  to: { path: `(^|node_modules/|node:)(@types/)?(${modules.join('|')})(/|$)` },
}));

function oneOf(names) {
  return names.length === 0 ? '^$' : `^src/(${names.join('|')})/`;
}

/** The import law: cli -> src/index -> migration -> stages -> parts -> host -> base. */
module.exports = {
  forbidden: [
    ...rooms,
    ...homes,
    {
      name: 'index-is-above-src-only',
      severity: 'error',
      comment: 'src/index.ts puts the rooms of src/ together and nothing else.',
      from: { path: '^src/[^/]+$' },
      to: { path: '^(cli|lab|bench|test|integrations)/' },
    },
    {
      name: 'cli-uses-the-public-api',
      severity: 'error',
      comment: 'cli/ knows src/index.ts and src/base/, no other room.',
      from: { path: '^cli/' },
      to: { path: '^(src|lab|bench|test)/', pathNot: '^src/(index[.]ts$|base/)' },
    },
    {
      name: 'lab-stands-alone',
      severity: 'error',
      comment: 'The lab is an outside world: it starts the built program, it never imports it.',
      from: { path: '^lab/' },
      to: { path: '^(src|cli|test|bench)/' },
    },
    {
      name: 'no-cycles',
      severity: 'error',
      comment: 'Two files that need each other are one file, or three.',
      from: {},
      to: { circular: true },
    },
    {
      name: 'every-import-resolves',
      severity: 'error',
      comment: 'An import that cannot be followed would slip through every other rule.',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'no-development-packages',
      severity: 'error',
      comment: 'What is shipped does not need devDependencies.',
      from: { path: '^(src|cli)/' },
      to: { dependencyTypes: ['npm-dev'], pathNot: 'node_modules/@types/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    combinedDependencies: false,
    enhancedResolveOptions: {
      extensions: ['.ts', '.mjs', '.cjs', '.js', '.json'],
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
};
