import { loadNativeLibrary } from '../io/native.js';

/** prctl(2): the signal that this process gets when its parent ends. */
const PR_SET_PDEATHSIG = 1;
/** Not SIGTERM: Ctrl-C would come to parent and child, and then this one, and two of the usual signals end the program at once. */
const SIGNAL = { name: 'SIGUSR2', number: 12 } as const;
const POLL_MS = 1000;

/**
 * Calls `onGone` once when the process that started this one has ended: at once where the kernel tells (Linux), otherwise within a
 * second. Disposing it stops watching.
 *
 * @param startedBy the parent as it was when the program started; one that has gone since is noticed right away
 */
export function watchParent(startedBy: number, onGone: () => void): Disposable {
  let watching = true;
  const stop = (): void => {
    watching = false;
    clearInterval(timer);
    process.off(SIGNAL.name, look);
  };
  // The kernel also signals when only the thread that started us has ended: what counts is who our parent is.
  const look = (): void => {
    if (!watching || process.ppid === startedBy) return;
    stop();
    onGone();
  };
  const timer = setInterval(look, POLL_MS);
  timer.unref();
  process.on(SIGNAL.name, look);
  askKernel();
  // It may have gone before the kernel was asked.
  setImmediate(look);
  return { [Symbol.dispose]: stop };
}

function askKernel(): void {
  // The number of SIGUSR2 above is that of x86 and ARM; the slower way is right everywhere.
  if (process.platform !== 'linux') return;
  const libc = loadNativeLibrary(['libc.so.6', 'libc.so']);
  const prctl = libc?.bind(
    'int prctl(int option, unsigned long one, unsigned long two, unsigned long three, unsigned long four)',
  );
  prctl?.(PR_SET_PDEATHSIG, SIGNAL.number, 0, 0, 0);
}
