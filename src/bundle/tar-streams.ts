import type { Extract, Pack } from 'tar-stream';

/**
 * Writes to a stream of tar-stream and resolves when it has room again. These streams know no
 * callback per write, and one that is destroyed never drains: so its end counts as an answer too.
 */
export function writeFully(stream: TarWritable, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    let failure: unknown = new Error('the tar stream was closed');
    const settle = (finish: () => void) => {
      stream.off('drain', onDrain).off('error', onError).off('close', onClose);
      finish();
    };
    const onDrain = () => settle(resolve);
    const onError = (error: unknown) => {
      failure = error;
    };
    const onClose = () => settle(() => reject(failure));
    stream.on('drain', onDrain).on('error', onError).on('close', onClose);
    if (stream.destroyed) settle(() => reject(failure));
    else if (stream.write(bytes)) settle(resolve);
  });
}

type TarWritable = Pick<Extract | ReturnType<Pack['entry']>, 'write' | 'destroyed' | 'on' | 'off'>;

/**
 * An 'error' event that nobody listens to ends the process, and a tar stream that is destroyed
 * emits one in each of its entries. The error itself reaches us by promises.
 */
export function ignoreErrorEvents(stream: ErrorEmitter): void {
  stream.on('error', () => undefined);
}

interface ErrorEmitter {
  on(event: 'error', listener: (error: Error) => void): unknown;
}
