import type { Backend } from './backend.ts';
import type { BackendName } from './model.ts';
import { netnsBackend } from './netns/backend.ts';
import { vmBackend } from './vm/backend.ts';

/** The kind of host a lab is made of. */
export function backendOf(lab: { readonly backend: BackendName }): Backend {
  return BACKENDS[lab.backend];
}

const BACKENDS = { netns: netnsBackend, vm: vmBackend } as const;
