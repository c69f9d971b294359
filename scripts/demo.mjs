// From a fresh clone to a disk that boots: installs what is missing, builds the program and, once, the template, and
// makes a disk of it in ./demo.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, must } from './run-program.mjs';

const NAME = 'debian-12';
const folder = join(ROOT, 'demo');
const main = join(ROOT, 'dist', 'main.cjs');
const disk = join(folder, `${NAME}.img`);

/** Whether the local repository has the template: a second demo does not make it again. */
function isPublished() {
  const result = spawnSync(process.execPath, [main, 'template', 'list', '--json'], { encoding: 'utf8' });
  if (result.status !== 0) return false;
  return JSON.parse(result.stdout).recipes.some((recipe) => recipe.name === NAME && recipe.published);
}

function say(command) {
  process.stdout.write(`\n$ ${command}\n`);
}

must(process.execPath, [join(ROOT, 'scripts/setup.mjs'), 'run']);
must(process.execPath, [join(ROOT, 'scripts/build.mjs')]);
mkdirSync(folder, { recursive: true });
if (!isPublished()) {
  say(`tsbuilder template build ${NAME}`);
  must(process.execPath, [main, 'template', 'build', NAME], { cwd: folder });
}
if (existsSync(disk)) {
  process.stdout.write(`\n${disk} is there already and is kept: remove it for a new one.\n`);
} else {
  say(`tsbuilder ${NAME} --size 10G`);
  must(process.execPath, [main, NAME, '--size', '10G'], { cwd: folder });
}

process.stdout.write(`
The disk is ${disk}. To boot it here (Ctrl-A X leaves):

  qemu-system-x86_64 -machine q35,accel=kvm:tcg -m 1024 -nographic \\
    -drive if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd \\
    -drive if=pflash,format=raw,snapshot=on,file=/usr/share/OVMF/OVMF_VARS_4M.fd \\
    -drive if=virtio,format=raw,file=${disk}

Its root account is locked, as in any template. The program is ${main}.
`);
