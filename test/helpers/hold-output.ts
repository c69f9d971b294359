// Run as a program: opens the output named by its argument and keeps it open until it is killed.
import { openOutputFile } from '../../src/io/output-file.js';

async function main(): Promise<void> {
  const output = await openOutputFile(process.argv[2] ?? '');
  console.log(output.tempPath);
  setInterval(() => undefined, 60_000);
}

void main();
