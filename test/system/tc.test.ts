import { cases } from '../cases/tc.ts';
import { casesHere } from '../support/guest-runner.ts';

casesHere('tc on this kernel', cases);
