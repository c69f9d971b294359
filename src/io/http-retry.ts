import { setTimeout as sleep } from 'node:timers/promises';
import { TsbuilderError } from '../errors.js';
import { isConnectFailure, isRetryable } from './http-errors.js';
import { retryTimeout } from './http-timeout.js';

/** How long and how often to try again. All times in milliseconds; every field has a default. */
export interface RetryOptions {
  /** Give up when this long has passed without a new byte. Default: `retryTimeout()`. */
  readonly deadlineMs?: number | undefined;
  /** Failures in a row without a new byte before giving up. Default 8. */
  readonly maxAttempts?: number | undefined;
  /** The same where no connection can be made at all. Default 3, and never more than the other. */
  readonly connectAttempts?: number | undefined;
  /** First pause; it doubles each time. Default 500 ms. */
  readonly firstDelayMs?: number | undefined;
  /** Longest pause. Default 20 s. */
  readonly maxDelayMs?: number | undefined;
  /** Told of every attempt that failed and will be repeated. */
  readonly onRetry?: ((error: TsbuilderError, delayMs: number) => void) | undefined;
  /** What to do when it has been given up, where the error does not say. Default: to try again later. */
  readonly hint?: string | undefined;
}

/** An `onRetry` that tells in a sentence what failed and when it is tried again. */
export function tellRetries(tell: (sentence: string) => void): NonNullable<RetryOptions['onRetry']> {
  return (error, delayMs) => tell(`${error.message}; trying again in ${Math.ceil(delayMs / 1000)} s`);
}

/**
 * Runs `attempt` until it succeeds, with exponential pauses and jitter between attempts; a `Retry-After` is respected.
 * `progress` counts bytes that attempts have gained: while it grows, the deadline and the number of attempts start afresh.
 *
 * @throws the error of the last attempt, with the number of attempts, or at once an error that is not worth repeating
 */
export async function withRetries<T>(
  attempt: () => Promise<T>,
  options: RetryOptions & { progress?: () => number; signal?: AbortSignal | undefined },
): Promise<T> {
  const { progress = () => 0, signal } = options;
  let budget = { failures: 0, since: Date.now(), mark: progress() };
  for (;;) {
    signal?.throwIfAborted();
    try {
      return await attempt();
    } catch (error) {
      signal?.throwIfAborted();
      if (!isRetryable(error)) throw error;
      if (progress() > budget.mark) budget = { failures: 0, since: Date.now(), mark: progress() };
      budget.failures += 1;
      const delayMs = delayAfter(budget.failures, error, options);
      if (isExhausted(error, { ...budget, delayMs }, options)) throw gaveUp(error, budget.failures, options);
      options.onRetry?.(error, delayMs);
      await pause(delayMs, signal);
    }
  }
}

function delayAfter(failures: number, error: TsbuilderError, options: RetryOptions): number {
  const { firstDelayMs = 500, maxDelayMs = 20_000 } = options;
  const backoff = Math.min(maxDelayMs, firstDelayMs * 2 ** Math.min(failures - 1, 30));
  const asked = error.details['retryAfterMs'];
  return Math.max(backoff * (0.5 + Math.random() / 2), typeof asked === 'number' ? asked : 0);
}

function isExhausted(
  error: TsbuilderError,
  budget: { failures: number; since: number; delayMs: number },
  options: RetryOptions,
): boolean {
  const { deadlineMs = retryTimeout(), maxAttempts = 8, connectAttempts = 3 } = options;
  const limit = isConnectFailure(error) ? Math.min(connectAttempts, maxAttempts) : maxAttempts;
  return budget.failures >= limit || Date.now() - budget.since + budget.delayMs > deadlineMs;
}

function gaveUp(error: TsbuilderError, attempts: number, options: RetryOptions): TsbuilderError {
  const { hint, details } = error;
  const asked = details['retryAfterMs'];
  const wait = typeof asked === 'number' && asked > 0 ? ` and asks to wait ${Math.ceil(asked / 1000)} s` : '';
  const suffix = attempts > 1 ? ` (gave up after ${attempts} attempts)` : '';
  return new TsbuilderError(error.code, `${error.message}${wait}${suffix}`, {
    hint: hint ?? options.hint ?? 'Try again later.',
    details: { ...details, attempts },
    cause: error,
  });
}

async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  await sleep(ms, undefined, signal ? { signal } : {}).catch(() => undefined);
  signal?.throwIfAborted();
}
