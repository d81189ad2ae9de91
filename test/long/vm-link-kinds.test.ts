import { cases } from '../cases/link-kinds.ts';
import { casesInGuest } from '../support/guest-runner.ts';

casesInGuest("link kinds of a guest's kernel", 'link-kinds', cases);
