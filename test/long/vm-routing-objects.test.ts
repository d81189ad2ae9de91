import { cases } from '../cases/routing-objects.ts';
import { casesInGuest } from '../support/guest-runner.ts';

casesInGuest('Addresses, routes and what belongs to them, in a guest', 'routing-objects', cases);
