// Run as a program: replaces the file named by its argument again and again, until it is killed.
import { writeFile } from 'node:fs/promises';
import { openOutputFile } from '../../src/io/output-file.js';

async function main(): Promise<void> {
  for (let round = 1; ; round += 1) {
    await using output = await openOutputFile(process.argv[2] ?? '', { force: true });
    await writeFile(output.tempPath, String(round % 10).repeat(4096), { flag: 'r+' });
    await output.commit();
    if (round === 3) console.log('running');
  }
}

void main();
