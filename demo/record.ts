/** One request of the client, as demo/client.py prints it. */
export interface Answer {
  /** When it ended, on the client's clock. */
  readonly at: number;
  readonly ms: number;
  readonly connections: number;
  readonly status?: number;
  readonly mac?: string;
  /** Why there was no answer. */
  readonly lost?: string;
}

export interface Stretch {
  readonly answered: number;
  readonly lost: number;
  /** The longest time without an answer, the client's own pause between two requests included. */
  readonly silenceMs: number;
}

/** What the client saw, all in all and between two instants. */
export interface Record {
  add(answer: Answer): void;
  /** Begins a stretch; the last answer before it counts as its beginning. */
  begin(): void;
  /** The stretch since the last `begin`. */
  stretch(): Stretch;
  total(): Stretch & { readonly connections: number; readonly firstLoss: string | undefined };
}

export function createRecord(): Record {
  let last: number | undefined;
  let connections = 0;
  let firstLoss: string | undefined;
  let total = nothing;
  let current = nothing;
  return {
    add(answer) {
      connections = answer.connections;
      if (answer.lost !== undefined) firstLoss ??= answer.lost;
      const gap = last === undefined || answer.lost !== undefined ? 0 : answer.at - last;
      if (answer.lost === undefined) last = answer.at;
      total = after(total, answer, gap);
      current = after(current, answer, gap);
    },
    begin() {
      current = nothing;
    },
    stretch: () => current,
    total: () => ({ ...total, connections, firstLoss }),
  };
}

const nothing: Stretch = { answered: 0, lost: 0, silenceMs: 0 };

function after(before: Stretch, answer: Answer, gap: number): Stretch {
  const lost = answer.lost === undefined ? 0 : 1;
  return {
    answered: before.answered + 1 - lost,
    lost: before.lost + lost,
    silenceMs: Math.max(before.silenceMs, gap),
  };
}
