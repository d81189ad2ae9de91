import { networkNamespace } from '../../src/host/syscall-ids.ts';
import { openFilter } from '../../src/network/l3/filter.ts';

/** Loads the filter in a network namespace that ends with this process; prints its name. */
const filter = await openFilter(process.argv[2] ?? '');
filter.close();
process.stdout.write(String(networkNamespace().inode));
