import { cases } from '../cases/link-kinds.ts';
import { casesHere } from '../support/guest-runner.ts';

casesHere('link kinds of this kernel', cases);
