// Compiles src/ into dist/ and writes oclif's manifest. dist/ is replaced as a whole, so that no stale file survives and
// whoever runs the program meanwhile finds the old one or the new one.
import { chmodSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Plugin } from '@oclif/core';
import { ROOT, must } from './run-program.mjs';

const dist = join(ROOT, 'dist');
const scratch = join(ROOT, 'node_modules', '.cache', `tsbuilder-${process.pid}`);
const next = join(scratch, 'next');
const previous = join(scratch, 'previous');

mkdirSync(scratch, { recursive: true });
try {
  must(process.execPath, [
    join(ROOT, 'node_modules/typescript/bin/tsc'),
    ...['-p', 'tsconfig.build.json', '--outDir', next],
  ]);
  chmodSync(join(next, 'main.cjs'), 0o755);
  if (existsSync(dist)) renameSync(dist, previous);
  renameSync(next, dist);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

const plugin = new Plugin({ root: ROOT, ignoreManifest: true, errorOnManifestCreate: true });
await plugin.load();
writeFileSync(join(ROOT, 'oclif.manifest.json'), `${JSON.stringify(plugin.manifest, null, 2)}\n`);
