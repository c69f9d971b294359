// Run as a program: `watch PPID` says `watching`, then `gone` when the process PPID, its parent, has ended, and ends.
import { watchParent } from '../../src/serve/exit-with-parent.js';

const keepAlive = setInterval(() => undefined, 1000);
watchParent(Number(process.argv[2] ?? process.ppid), () => {
  clearInterval(keepAlive);
  console.log('gone');
});
console.log('watching');
