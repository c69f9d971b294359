import { openGzipSegments } from '../../src/gzip/gzip-segments.js';
import { openFileSource } from '../../src/io/file-source.js';
import { openZstdSegments } from '../../src/zstd/zstd-segments.js';

// Opens the gzip or zstd file named by its argument, decodes every segment, keeping nothing, and prints how much came, how many
// segments there are, and the memory the process took at most.
const [path = ''] = process.argv.slice(2);
const source = await openFileSource(path);
await using content = await (path.endsWith('.gz') ? openGzipSegments(source) : openZstdSegments(source));
let bytes = 0;
for (let number = 0; number < content.segmentCount; number += 1)
  for await (const slice of content.decode(number, {})) bytes += slice.length;
// maxRSS is in KiB.
const peak = process.resourceUsage().maxRSS * 1024;
console.log(JSON.stringify({ bytes, segments: content.segmentCount, size: content.size, peak }));
