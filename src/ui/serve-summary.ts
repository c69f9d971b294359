import { formatSize } from '../io/format-size.js';
import type { ServeReady } from '../serve/serve-request.js';

/** What is printed when clients can connect: for each export its URI, what it is and what protects the data. */
export function formatServeReady(ready: ServeReady): string {
  const lines = ready.exports.flatMap(({ name, uri, src, size, format, protection, writable }) => [
    uri ?? `export ${JSON.stringify(name)}`,
    `  ${src}: ${formatSize(size)}, ${format}, ${writable ? 'writable, changes are thrown away' : 'read-only'}`,
    `  ${protection}`,
  ]);
  if (ready.metrics !== undefined) lines.push(`metrics: ${ready.metrics}`);
  return lines.join('\n');
}
