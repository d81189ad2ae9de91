/**
 * `run` and `exec` take a name and then a program with options of its own; the `--` between them
 * may be left out. Puts it there: `migrate run web --l3 --ip A prog --json` gives --json to prog.
 */
export function separateCommand(argv: readonly string[]): string[] {
  const valued = commandsWithPrograms[argv[0] ?? ''];
  if (valued === undefined) return [...argv];
  let operands = 0;
  for (let index = 1; index < argv.length; index += 1) {
    const word = argv[index] ?? '';
    if (word === '--') break;
    if (valued.includes(word)) index += 1;
    else if (!word.startsWith('-') || word === '-') operands += 1;
    if (operands === 2) return [...argv.slice(0, index), '--', ...argv.slice(index)];
  }
  return [...argv];
}

/** The options whose next word is their value, for each command that ends in a program. */
const commandsWithPrograms: Readonly<Record<string, readonly string[]>> = {
  run: ['--ip', '--dev', '--bridge', '--gateway', '--rootfs', '--user', '--allow', '-f', '--file'],
  exec: [],
};
