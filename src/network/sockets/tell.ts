/** Something to say about one descriptor of a process. */
export interface Remark {
  readonly pid: number;
  readonly program: string;
  readonly fd: number;
  readonly what: string;
  readonly hint?: string;
}

export interface TellingLine {
  readonly message: string;
  readonly hint?: string;
}

/** As many descriptors as a line can name. */
const namedDescriptorsMax = 5;

/** One line for all descriptors of a process of which the same is to be said. */
export function tellTogether(remarks: readonly Remark[]): TellingLine[] {
  const together = new Map<string, { first: Remark; fds: number[] }>();
  for (const remark of remarks) {
    const key = `${remark.pid} ${remark.what}`;
    const known = together.get(key);
    if (known === undefined) together.set(key, { first: remark, fds: [remark.fd] });
    else known.fds.push(remark.fd);
  }
  return [...together.values()].map(({ first, fds }) => {
    const message = `${descriptors(fds)} of process ${first.pid} (${first.program}): ${first.what}`;
    return { message, ...(first.hint === undefined ? {} : { hint: first.hint }) };
  });
}

function descriptors(fds: readonly number[]): string {
  if (fds.length === 1) return `descriptor ${fds[0]}`;
  const named = fds.slice(0, namedDescriptorsMax).join(', ');
  const more = fds.length - namedDescriptorsMax;
  return `descriptors ${named}${more > 0 ? ` and ${more} more` : ''}`;
}
