// Everything that must hold, on a fresh clone too: installs what is missing, builds, checks types, lint, format, imports
// and unused code, and runs the tests. Arguments go to vitest and leave the checks out. The last line has the counts.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT, must, status } from './run-program.mjs';

const CHECKS = ['types', 'lint', 'format:check', 'imports', 'unused'];
const args = process.argv.slice(2);

/** Numbers of tests passed and failed, from vitest's report; a file that could not be run counts as one failure. */
function readCounts(path) {
  try {
    const report = JSON.parse(readFileSync(path, 'utf8'));
    const broken = report.testResults.filter(
      (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
    );
    return { passed: report.numPassedTests, failed: report.numFailedTests + broken.length };
  } catch (error) {
    process.stderr.write(`test: vitest left no report: ${error.message}\n`);
    return { passed: 0, failed: 1 };
  }
}

must(process.execPath, [join(ROOT, 'scripts/setup.mjs'), 'test']);
must(process.execPath, [join(ROOT, 'scripts/build.mjs')]);

const failedChecks =
  args.length > 0 ? [] : CHECKS.filter((name) => status('npm', ['run', '--silent', name]) !== 0);

const scratch = mkdtempSync(join(tmpdir(), 'tsb-test-'));
let code = 1;
let counts = { passed: 0, failed: 1 };
try {
  const report = join(scratch, 'report.json');
  const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  code = status(process.execPath, [vitest, 'run', ...reporters, ...args]);
  counts = readCounts(report);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

if (failedChecks.length > 0) process.stdout.write(`Failed checks: ${failedChecks.join(', ')}\n`);
const failed = counts.failed + failedChecks.length;
process.stdout.write(`${counts.passed} passed, ${failed} failed\n`);
process.exit(failed === 0 ? code : 1);
