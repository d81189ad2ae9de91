import { cases, recentCases } from '../cases/routing-objects.ts';
import { casesHere } from '../support/guest-runner.ts';

casesHere('Addresses, routes and what belongs to them, on this kernel', [...cases, ...recentCases]);
