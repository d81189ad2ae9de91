import { testLeftovers } from './leftovers.ts';

// Fifty take two minutes on a busy machine: they are in test/long.
testLeftovers(16);
