/**
 * A process of its own beside the server of a mount, so that the mount goes when the server is killed: a mount without a server answers
 * nothing but errors. Its arguments are the state folder and the server's identity; its standard input ends when the server does, however that ends.
 */
import { takeDown } from './unmount-files.js';

const [, , folder, server] = process.argv;
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => undefined);
process.stdin.on('error', () => undefined).resume();
process.stdin.once('close', () => {
  if (folder === undefined || server === undefined) return;
  takeDown({ folder }, server).catch(() => {
    process.exitCode = 1;
  });
});
