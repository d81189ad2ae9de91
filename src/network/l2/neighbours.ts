import { z } from 'zod';
import { compact, flag } from './compact.ts';
import type { Neighbour } from './state.ts';

/** One element of `ip -j neigh show nud permanent` or `ip -j neigh show proxy`. */
const neighbourJson = z.looseObject({
  dst: z.string(),
  dev: z.string(),
  lladdr: z.string().optional(),
});

export function readNeighbours(
  json: unknown,
  family: 4 | 6,
  ignored: ReadonlySet<string>,
): Neighbour[] {
  return z
    .array(neighbourJson)
    .parse(json)
    .filter((raw) => !ignored.has(raw.dev))
    .map((raw) =>
      compact({
        link: raw.dev,
        family,
        address: raw.dst,
        mac: raw.lladdr,
        router: flag(raw.router),
        proxy: flag(raw.proxy),
      }),
    );
}

export function neighbourLine(neighbour: Neighbour): string {
  const { address, link, mac } = neighbour;
  if (neighbour.proxy) {
    return `neigh add proxy ${address} dev ${link}${neighbour.router ? ' router' : ''}`;
  }
  return [
    `neigh replace ${address} dev ${link} nud permanent`,
    ...(mac === undefined ? [] : [`lladdr ${mac}`]),
    ...(neighbour.router ? ['router'] : []),
  ].join(' ');
}
