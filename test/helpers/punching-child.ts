// Frees what is free of the disk argv[2], slowly: 4 KiB at a time, with a dot and a pause for each.
import { writeSync } from 'node:fs';
import { openFileSource } from '../../src/io/file-source.js';
import { silentProgress } from '../../src/progress.js';
import { freeRanges, surveyDisk } from '../../src/publish/free/disk-survey.js';
import { punchFree } from '../../src/publish/free/punch-free.js';

const path = process.argv[2] ?? '';
const survey = await surveyDisk(await openFileSource(path));
const pieces = freeRanges(survey).flatMap(({ offset, length }) =>
  Array.from({ length: Math.floor(length / 4096) }, (_, at) => ({
    offset: offset + at * 4096,
    length: 4096,
  })),
);
for (const piece of pieces) {
  await punchFree(path, [piece], { progress: silentProgress, signal: new AbortController().signal });
  writeSync(1, '.');
}
