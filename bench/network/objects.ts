import { execa } from 'execa';

/** What a namespace of the bench is full of; `all` has that many of each. */
export const objectKinds = ['links', 'addresses', 'routes', 'rules', 'neighbours', 'all'] as const;
export type ObjectKind = (typeof objectKinds)[number];

/** A namespace with objects, and the commands that made them. */
export interface MadeObjects {
  readonly name: string;
  readonly path: string;
  readonly kind: ObjectKind;
  readonly count: number;
  /** `ip` commands without the `ip`, in order. */
  readonly commands: readonly string[];
  /** `ip` commands that read one object each. */
  readonly questions: readonly string[];
  remove(): Promise<void>;
}

const base = ['link set lo up', 'link add base type veth peer name other', 'link set base up'];
const wire = ['link set other up', 'addr add 10.200.0.1/16 dev base'];

interface Maker {
  commandsOf(index: number): readonly string[];
  questionOf(index: number): string;
}

const makers: Readonly<Record<Exclude<ObjectKind, 'all'>, Maker>> = {
  links: {
    // A pair is two devices: half as many pairs.
    commandsOf: (index) =>
      index % 2 === 0 ? [`link add l${index} type veth peer l${index + 1}`] : [],
    questionOf: (index) => `-j -d link show dev l${index}`,
  },
  addresses: {
    commandsOf: (index) => [`addr add 10.${100 + (index >> 8)}.${index & 255}.1/32 dev base`],
    questionOf: (index) => `-j addr show to 10.${100 + (index >> 8)}.${index & 255}.1`,
  },
  routes: {
    commandsOf: (index) => [`route add 20.${index >> 8}.${index & 255}.0/24 via 10.200.0.2`],
    questionOf: (index) => `-j -d route show 20.${index >> 8}.${index & 255}.0/24`,
  },
  rules: {
    commandsOf: (index) => [
      `rule add from 30.${index >> 8}.${index & 255}.0/24 lookup ${1000 + index}`,
    ],
    questionOf: (index) => `-j rule show from 30.${index >> 8}.${index & 255}.0/24`,
  },
  neighbours: {
    commandsOf: (index) => [
      `neigh add 10.200.${1 + (index >> 8)}.${index & 255} lladdr 02:00:00:00:00:01 dev base nud permanent`,
    ],
    questionOf: (index) => `-j neigh show to 10.200.${1 + (index >> 8)}.${index & 255}`,
  },
};

/** Makes a namespace with `count` objects of a kind. */
export async function makeObjects(kind: ObjectKind, count: number): Promise<MadeObjects> {
  const kinds = kind === 'all' ? (Object.keys(makers) as (keyof typeof makers)[]) : [kind];
  const indexes = Array.from({ length: count }, (_, index) => index);
  const of = (each: (maker: Maker, index: number) => readonly string[]) =>
    kinds.flatMap((one) => indexes.flatMap((index) => each(makers[one], index)));
  const commands = [...base, ...wire, ...of((maker, index) => maker.commandsOf(index))];
  const questions = of((maker, index) => [maker.questionOf(index)]);
  const name = `bench-${kind}-${count}`;
  await execa('ip', ['netns', 'add', name]);
  await runBatch(name, commands);
  return {
    ...{ name, path: `/run/netns/${name}`, kind, count, commands, questions },
    async remove() {
      await execa('ip', ['netns', 'del', name]);
    },
  };
}

/** One `ip -batch` in a namespace. */
export async function runBatch(name: string, commands: readonly string[]): Promise<void> {
  const args = [`--net=/run/netns/${name}`, 'ip', '-batch', '-'];
  await execa('nsenter', args, { input: `${commands.join('\n')}\n` });
}
