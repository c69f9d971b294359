import { describe, expect, it } from 'vitest';
import { formatLines } from '../../src/ui/labelled-lines.js';

describe('formatLines', () => {
  it('aligns labels at their colons', () => {
    expect(
      formatLines([
        ['Disk', 'a.img'],
        ['System', 'Debian'],
      ]),
    ).toBe('           Disk: a.img\n         System: Debian');
  });

  it('shows what could steer a terminal or imitate another line', () => {
    expect(formatLines([['System', 'Evil \u001b[31mred\n  Done: all \u202e']])).toBe(
      '         System: Evil \\x1b[31mred\\x0a  Done: all \\u202e',
    );
  });
});
