// Runs a program that starts another, the way the build of a template runs mmdebstrap; says so when both run.
import { writeSync } from 'node:fs';
import { execMounting } from '../../src/build/template/root.js';

const [, , marker = ''] = process.argv;
const script = `sleep ${marker} & echo started >&2; sleep ${marker}; wait`;
await execMounting('sh', ['-c', script], { onStderr: () => writeSync(1, 'started\n') });
