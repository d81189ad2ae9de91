import { cases } from '../cases/bridge-objects.ts';
import { casesHere } from '../support/guest-runner.ts';

casesHere('Tables of bridges and their like, on this kernel', cases);
