import { testLeftovers } from '../lab/leftovers.ts';

testLeftovers(50);
