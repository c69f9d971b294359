// Run as a program: opens each argument as an output and prints how that ended, one line each.
import { TsbuilderError, messageOf } from '../../src/errors.js';
import { openOutputFile } from '../../src/io/output-file.js';

async function attempt(path: string): Promise<string> {
  try {
    await using output = await openOutputFile(path, { force: true });
    return `opened as ${output.tempPath}`;
  } catch (error) {
    return `${error instanceof TsbuilderError ? error.code : 'OTHER'} ${messageOf(error)}`;
  }
}

async function main(): Promise<void> {
  for (const path of process.argv.slice(2)) console.log(await attempt(path));
}

void main();
