import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { CLI, ROOT, SCRATCH, comparisons } from './comparisons.js';
import { prepareInputs } from './inputs.js';
import { compare } from './measure.js';
import { type Row, formatMarkdown, formatSvg } from './report.js';
import { startTemplateServer } from './serve-boot.js';
import { writeOffsets } from './serve-reads.js';

const ROUNDS = Number(process.env['TSBUILDER_BENCH_ROUNDS'] ?? 5);
/** What was measured, by comparison: a run of some of them leaves the others' rows in the report as they are. */
const RESULTS = join(ROOT, 'bench', 'results.json');

async function machine(): Promise<string> {
  const release =
    /PRETTY_NAME="(.*)"/.exec(await readFile('/etc/os-release', 'utf8'))?.[1] ?? process.platform;
  return `${release}, Node ${process.version}, ${availableParallelism()} CPUs (${cpus()[0]?.model.trim() ?? 'unknown'})`;
}

async function readResults(): Promise<Partial<Record<string, Row>>> {
  try {
    return JSON.parse(await readFile(RESULTS, 'utf8')) as Partial<Record<string, Row>>;
  } catch {
    return {};
  }
}

await mkdir(SCRATCH, { recursive: true });
const wanted = process.argv.slice(2);
const inputs = await prepareInputs(CLI, SCRATCH);
await using web = await startTemplateServer(inputs.template);
await writeOffsets({ cli: CLI, template: inputs.template, scratch: SCRATCH });
const all = comparisons(inputs, web.url);
const known = await readResults();
const made = await machine();
for (const { id, title, about, prepare } of all) {
  if (wanted.length > 0 && !wanted.includes(id)) continue;
  console.error(title);
  const results = await compare(await prepare(), {
    rounds: ROUNDS,
    scratch: SCRATCH,
    log: (text) => console.error(text),
  });
  known[id] = { title, about, made, results };
  await writeFile(RESULTS, `${JSON.stringify(known, null, 2)}\n`);
}
const rows = all.flatMap(({ id }) => known[id] ?? []);
const report = formatMarkdown(rows);
await writeFile(join(ROOT, 'bench', 'results.md'), report);
await writeFile(join(ROOT, 'bench', 'results.svg'), formatSvg(rows));
console.log(report);
