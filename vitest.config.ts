import { defineConfig } from 'vitest/config';

/** One file at a time in a process of its own: these share the kernel's state. */
const serial = { pool: 'forks', fileParallelism: false, maxWorkers: 1 } as const;

const minuteMs = 60_000;

function project(name: string, order: number, options: object, include?: string[]) {
  return {
    test: {
      name,
      include: include ?? [`test/${name}/**/*.test.ts`],
      sequence: { groupOrder: order },
      ...options,
    },
  };
}

export default defineConfig({
  test: {
    allowOnly: false,
    projects: [
      project('unit', 0, { testTimeout: minuteMs }, ['test/*.test.ts', 'test/unit/**/*.test.ts']),
      project('property', 1, { testTimeout: minuteMs }),
      project('system', 2, { ...serial, testTimeout: minuteMs, hookTimeout: minuteMs }),
      project('lab', 3, { ...serial, testTimeout: 5 * minuteMs, hookTimeout: 10 * minuteMs }),
      project('vm', 4, { ...serial, testTimeout: 15 * minuteMs, hookTimeout: 20 * minuteMs }),
      project('long', 5, { ...serial, testTimeout: 60 * minuteMs, hookTimeout: 20 * minuteMs }),
    ],
  },
});
