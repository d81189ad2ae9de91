/** Qdiscs with the words that make one; those with classes first. */
const classful = ['htb', 'hfsc', 'drr', 'prio bands 4'] as const;
const leaves = [
  'pfifo limit 9',
  'bfifo limit 9000',
  'tbf rate 3mbit burst 20kb latency 50ms',
  'sfq perturb 7',
  'fq_codel limit 300',
  'netem delay 5ms',
  'codel',
] as const;

export const randomKinds: readonly string[] = [...classful, ...leaves];

const depthMax = 3;

/** Lines of tc(8) that make a setup of the kinds that are there; the same for the same seed. */
export function randomSetup(seed: number, kinds: readonly string[]): string[] {
  const random = generator(seed);
  const below = (max: number) => Math.floor(random() * max);
  const pick = <T>(list: readonly T[]): T => list[below(list.length)] as T;
  const lines: string[] = [];
  const hooks: string[] = [];
  let handles = 0;

  function qdisc(place: string, depth: number): void {
    const inner = classful.filter((one) => kinds.includes(one));
    const outer = leaves.filter((one) => kinds.includes(one));
    const words = depth < depthMax && below(3) > 0 ? pick(inner) : pick(outer);
    handles += 1 + below(5);
    const handle = handles.toString(16);
    lines.push(`qdisc add dev eth0 ${place} handle ${handle}: ${words}`);
    const [kind = ''] = words.split(' ');
    if (kind === 'prio') {
      hooks.push(`${handle}:`);
      for (const band of [1, 3]) if (below(2) > 0) qdisc(`parent ${handle}:${band}`, depth + 1);
    } else if (words in classWords) {
      hooks.push(`${handle}:`);
      classes(kind, handle, `${handle}:`, depth);
    }
  }

  function classes(kind: string, handle: string, parent: string, depth: number): void {
    const hasTree = kind === 'htb' || kind === 'hfsc';
    for (let count = 1 + below(3); count > 0; count -= 1) {
      handles += 1;
      const id = `${handle}:${handles.toString(16)}`;
      const words = pick(classWords[kind] ?? []);
      lines.push(`class add dev eth0 parent ${parent} classid ${id} ${words}`);
      if (hasTree) hooks.push(id);
      const next = below(4);
      if (next === 0 && depth < depthMax && hasTree) classes(kind, handle, id, depth + 1);
      else if (next === 1) qdisc(`parent ${id}`, depth + 1);
    }
  }

  qdisc('root', 0);
  if (below(2) > 0) {
    lines.push('qdisc add dev eth0 ingress');
    hooks.push('ffff:');
  }
  for (let count = hooks.length === 0 ? 0 : below(8); count > 0; count -= 1) {
    const prio = 1 + below(3);
    const match = `match ip dst 10.${below(250)}.0.0/16 match ip dport ${below(9000)} 0xffff`;
    lines.push(
      `filter add dev eth0 parent ${pick(hooks)} protocol ip prio ${prio} u32 ${match} flowid 1:${below(9)}`,
    );
  }
  return lines;
}

const classWords: Readonly<Record<string, readonly string[]>> = {
  htb: ['htb rate 5mbit', 'htb rate 2mbit ceil 9mbit prio 3', 'htb rate 30mbit burst 50k'],
  hfsc: [
    'hfsc ls m2 5mbit',
    'hfsc sc m1 9mbit d 10ms m2 3mbit',
    'hfsc sc rate 1mbit ul rate 5mbit',
  ],
  drr: ['drr quantum 900', 'drr quantum 3000'],
};

/** mulberry32: numbers from 0 to 1 that follow from the seed. */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b_79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
