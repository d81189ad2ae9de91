import { cases } from '../cases/tc.ts';
import { casesInGuest } from '../support/guest-runner.ts';

casesInGuest("tc on a distribution's kernel", 'tc', cases);
