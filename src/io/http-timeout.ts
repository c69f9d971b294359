import { TsbuilderError } from '../errors.js';

const DEFAULT_SECONDS = 30;

/**
 * The longest silence of a server that is waited through, in milliseconds: `TSBUILDER_TIMEOUT` (seconds), else 30 s.
 *
 * @throws TSB_USAGE when the variable holds no positive number
 */
export function stallTimeout(): number {
  const text = process.env['TSBUILDER_TIMEOUT'] ?? '';
  const seconds = text === '' ? DEFAULT_SECONDS : Number(text);
  if (seconds > 0 && seconds <= 86_400) return seconds * 1000;
  throw new TsbuilderError('TSB_USAGE', `TSBUILDER_TIMEOUT=${text}: is not a number of seconds`, {
    hint: 'Write how long a server may be silent, such as TSBUILDER_TIMEOUT=60.',
  });
}

/** How long attempts go on without a new byte, in milliseconds: four silences. @throws as `stallTimeout` */
export function retryTimeout(): number {
  return 4 * stallTimeout();
}
