import { buildNetwork } from '../../src/network/l2/build.ts';
import { captureNetwork } from '../../src/network/l2/capture.ts';
import { createNetns, removeNetns } from '../../src/network/l2/namespace.ts';
import type { MadeObjects } from './objects.ts';

/** Reading the namespace as a document, and building it in a new one. */
export async function measureOurs(
  made: MadeObjects,
): Promise<{ captureMs: number; applyMs: number }> {
  const began = performance.now();
  const state = await captureNetwork({ path: made.path });
  const captured = performance.now();
  const twin = `${made.name}-twin`;
  const { path } = await createNetns(twin);
  try {
    const building = performance.now();
    await buildNetwork(state, { path }, { places: new Map() });
    return { captureMs: captured - began, applyMs: performance.now() - building };
  } finally {
    await removeNetns(twin);
  }
}
