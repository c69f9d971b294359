// Unpacks the file named on the command line to standard output.
import { runUnpack } from '../../src/build/run-unpack.js';
import { silentProgress } from '../../src/progress.js';

// The command library does so in the program: the error also comes to whoever waits for the write.
process.stdout.on('error', () => undefined);

await runUnpack({
  input: process.argv[2] ?? '',
  output: '-',
  format: 'raw',
  jobs: 2,
  force: false,
  sync: false,
  progress: silentProgress,
  signal: new AbortController().signal,
});
