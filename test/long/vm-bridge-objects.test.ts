import { cases } from '../cases/bridge-objects.ts';
import { casesInGuest } from '../support/guest-runner.ts';

casesInGuest('Tables of bridges and their like, in a guest', 'bridge-objects', cases);
