import type { Dialogue, Lab } from '../move/lab.ts';

/** Many connections to one server, held by a client on the third host. */
export interface Crowd {
  /** Ends it; how many of them were answered rightly once more. */
  end(): Promise<number>;
}

export const server = '/shared/bench/echo-server';
export const port = '7100';

export async function connectCrowd(lab: Lab, address: string, count: number): Promise<Crowd> {
  const client: Dialogue = lab.talk(
    ...['c', 'python3', '/shared/bench/crowd-client.py', address, port, String(count)],
  );
  const said = await client.answer();
  if (said !== 'ready') throw new Error(`the client says ${said}`);
  return {
    async end() {
      client.say('');
      const { right } = JSON.parse(await client.answer()) as { right: number };
      await client.end();
      return right;
    },
  };
}
