import { describe, expect, it } from 'vitest';
import { newCounters } from '../../src/io/counters.js';
import { cacheHitRatio, formatStats, statsObject } from '../../src/serve/stats.js';

describe('formatStats', () => {
  it('tells every figure', () => {
    const counters = {
      ...newCounters(),
      requests: 12_345,
      errors: 2,
      connections: 4,
      bytesServed: 3 * 1024 * 1024,
      segmentsDecoded: 38,
      bytesDecoded: 600 * 1024 * 1024,
      cacheHits: 3,
      cacheMisses: 1,
      bytesFetched: 100,
      httpRequests: 41,
    };
    const sources = [{ name: 'evil\x1b[2J', size: 4 * 1024 ** 3, format: 'xz' }];
    expect(formatStats({ counters, sources, uptimeMs: 93_784_000 }).split('\n')).toEqual([
      'Statistics after 1 d 2 h 3 min 4 s:',
      '  evil\\x1b[2J: 4 GiB, xz',
      '  requests        12,345 (2 failed)',
      '  connections     4',
      '  bytes served    3 MiB (3,145,728 bytes)',
      '  bytes written   0 B',
      '  blocks decoded  38 (600 MiB)',
      '  cache hits      3 of 4 reads (75.0%)',
      '  bytes fetched   100 B',
      '  requests sent   41',
    ]);
  });

  it('has no ratio before the first read', () => {
    const state = {
      counters: newCounters(),
      sources: [{ name: '', size: 5, format: 'raw' }],
      uptimeMs: 1500,
    };
    expect(cacheHitRatio(state.counters)).toBeUndefined();
    expect(formatStats(state)).toContain('no reads yet');
    expect(formatStats(state)).toContain('after 1.5 s');
    expect(formatStats(state)).toContain('(default): 5 B, raw');
  });

  it('is told as data too', () => {
    const counters = { ...newCounters(), cacheHits: 1, cacheMisses: 3, requests: 4 };
    expect(statsObject({ counters, sources: [], uptimeMs: 250 })).toMatchObject({
      requests: 4,
      cacheHitRatio: 0.25,
      uptimeSeconds: 0.25,
    });
  });
});
