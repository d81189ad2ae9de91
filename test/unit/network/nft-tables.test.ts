import { describe, expect, test } from 'vitest';
import { isOwnTable, nftLines, readNftTables } from '../../../src/network/l2/nft.ts';

const table = (...lines: string[]) => ({
  family: 'inet' as const,
  name: 'x',
  text: ['table inet x {', ...lines.map((line) => `\t${line}`), '}'].join('\n'),
});

/** For nft a comment goes on to the newline, so the table ends at the first brace. */
const hidden = (sign: string) =>
  [`# {${sign}`, '}', 'table ip other {', '}', 'table ip last {', `# }${sign}`].join('\n\t');

describe('a table of a document from outside', () => {
  test.each([
    ['takes in a file', 'include "/etc/shadow"'],
    ['takes in a file behind a semicolon', 'chain c { }; include "/etc/shadow"'],
    ['takes in a file without a space', 'chain c { };include"/etc/shadow"'],
    ['ends and begins another', 'chain c { }; }; table inet other { chain k { };'],
    ['ends early, in a comment only as it seems', 'comment "# {"; }; flush ruleset'],
    ['opens and closes in comments that hold a carriage return', hidden('\r')],
    ['the same with a line separator', hidden('\u2028')],
    ['has a quote that goes on', 'comment "one'],
    ['is not closed', 'chain c {'],
  ])('that %s is refused before nft sees it', (_, line) => {
    expect(() => nftLines([table(line)])).toThrow(/holds more than a table/);
  });

  test('may say such words in quotes, comments and names', () => {
    const lines = [
      'comment "} include \\"',
      'chain include-x {',
      '\ttcp dport { 80, 81 } accept comment "{ include }" # handle } 4',
      '}',
    ];
    expect(nftLines([table(...lines)])).toHaveLength(8);
  });
});

test("only tables with a name that we give are ours: a firewall that begins alike is the job's", () => {
  expect(isOwnTable(`migrate-${'0f'.repeat(16)}`)).toBe(true);
  expect(isOwnTable('migrate-mute')).toBe(true);
  const text = 'table inet migrate-fw {\n\tchain in {\n\t}\n}\n';
  expect(readNftTables(text, []).map(({ name }) => name)).toEqual(['migrate-fw']);
});
