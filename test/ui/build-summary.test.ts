import { describe, expect, it } from 'vitest';
import type { BuildResult } from '../../src/build/run-build.js';
import { identityPlan } from '../../src/resize/resize-plan.js';
import { formatBuildPlan, formatBuildSummary } from '../../src/ui/build-summary.js';

const plan = (others: { source: string; revision: string }[]) => ({
  template: {
    name: 'debian-12',
    arch: 'x86_64',
    revision: '5',
    url: 'https://example.com/t.xz',
    size: 512,
    format: undefined,
    sha512: undefined,
    source: 'libguestfs.org',
    others,
  },
  output: '/tmp/x.img',
  format: 'raw',
  targetSize: undefined,
  expand: undefined,
  lvexpand: undefined,
  machineId: 'random' as const,
  seed: undefined,
  customize: [],
});
const result: BuildResult = {
  output: '/tmp/x.img',
  format: 'raw',
  size: 512,
  allocated: 512,
  resize: identityPlan(512),
  grown: [],
  seeded: [],
  done: [],
  secrets: [],
  hostKeys: [],
  rootLogin: undefined,
  layout: { table: 'none', sectorSize: undefined, partitions: [] },
};
const CHOICE =
  /Template: debian-12 \(x86_64, revision 5\) from libguestfs\.org\n +Not chosen: revision 2 from local \(--source NAME chooses\)/;

describe('the plan and the summary of a build', () => {
  it('say which source was chosen where several have the name', () => {
    const both = plan([{ source: 'local', revision: '2' }]);
    expect(formatBuildPlan(both, identityPlan(512))).toMatch(CHOICE);
    expect(formatBuildSummary(result, both)).toMatch(CHOICE);
  });

  it('calls what is on this machine a file', () => {
    const local = plan([]);
    const at = (url: string): string =>
      formatBuildPlan({ ...local, template: { ...local.template, url } }, identityPlan(512));
    expect(at('/srv/t.xz')).toContain('File: /srv/t.xz');
    expect(at('https://user:secret@example.com/t.xz')).toContain('Download: https://example.com/t.xz');
  });

  it('say no more than needed where there is one', () => {
    expect(formatBuildPlan(plan([]), identityPlan(512))).not.toContain('Not chosen');
    expect(formatBuildSummary(result, plan([]))).not.toContain('Template');
  });
});
