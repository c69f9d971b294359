// One of many processes that take the same lock: it notes when it has it, and must never find another one inside.
import { appendFile, mkdir, rmdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { acquireLock } from '../../src/io/lock-file.js';

const [, , lockPath = '', insidePath = '', logPath = '', mode = ''] = process.argv;

for (let round = 0; round < 3; round += 1) {
  const lock = await acquireLock(lockPath);
  // mkdir fails when another process is inside.
  await mkdir(insidePath).catch(() => appendFile(logPath, 'collision\n'));
  await sleep(Math.random() * 4);
  await rmdir(insidePath);
  await appendFile(logPath, `${process.pid}\n`);
  if (mode === 'die' && round === 1) process.kill(process.pid, 'SIGKILL');
  await lock[Symbol.asyncDispose]();
}
