import { openFileSource } from '../../src/io/file-source.js';
import { decodeXz } from '../../src/xz/decode-xz.js';
import { readXzIndex } from '../../src/xz/xz-index.js';

// Decodes the xz file named by its argument, keeping nothing, and prints how much and the memory the process took at most.
const [path = '', jobs = '2'] = process.argv.slice(2);
await using source = await openFileSource(path);
let bytes = 0;
const count = (length: number): Promise<void> => {
  bytes += length;
  return Promise.resolve();
};
const index = await readXzIndex(source);
await decodeXz({
  source,
  index,
  jobs: Number(jobs),
  onData: (_, data) => count(data.length),
  onZero: (_, length) => count(length),
});
// maxRSS is in KiB.
console.log(JSON.stringify({ blocks: index.blockCount, bytes, peak: process.resourceUsage().maxRSS * 1024 }));
