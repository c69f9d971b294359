import { MessageChannel, type MessagePort } from 'node:worker_threads';

let bin: MessagePort | undefined;

/**
 * Frees the memory of `data` at once, if it is all of its buffer: what is transferred to a closed port is gone. Nobody may use it
 * any more. Left to the garbage collector, which does not see how much memory is behind them, large buffers that are needed for a
 * moment add up to 50 MiB and more.
 */
export function freeNow(data: Uint8Array): void {
  const { buffer } = data;
  if (!(buffer instanceof ArrayBuffer) || buffer.byteLength !== data.byteLength) return;
  bin ??= closedPort();
  bin.postMessage(undefined, [buffer]);
}

/** A port that leads nowhere. */
function closedPort(): MessagePort {
  const { port1, port2 } = new MessageChannel();
  port2.close();
  return port1;
}
