import { findExport } from './export-info.js';
import { type Negotiation, refuse } from './negotiation.js';
import { InvalidOption, OptionReader, optionReply, uint32 } from './option-frames.js';
import { BASE_ALLOCATION, OPT, REP } from './protocol.js';

/**
 * Answers a question for metadata contexts, or the choice of them ("Metadata querying" of the NBD protocol). There is one,
 * `base:allocation`; what the client chose is kept in `negotiation`.
 *
 * @throws InvalidOption when structured replies have not been agreed on, or the data is malformed
 */
export async function answerMetaContext(
  negotiation: Negotiation,
  option: number,
  data: Buffer,
): Promise<'option'> {
  const choose = option === OPT.setMetaContext;
  // A choice that fails leaves nothing chosen.
  if (choose) negotiation.allocationOf = undefined;
  if (!negotiation.structured) throw new InvalidOption('metadata contexts need structured replies');
  const { name, queries } = parseQueries(data);
  const chosen = findExport(negotiation.options, name);
  if (!chosen)
    return refuse(negotiation, option, { type: REP.errUnknown, message: 'no export has this name' });
  const found = queries.includes(BASE_ALLOCATION.name) || (!choose && asksForAll(queries));
  if (found) {
    if (choose) negotiation.allocationOf = chosen;
    const context = Buffer.concat([
      uint32(choose ? BASE_ALLOCATION.id : 0),
      Buffer.from(BASE_ALLOCATION.name),
    ]);
    await negotiation.output.send(optionReply(option, REP.metaContext, context));
  }
  await negotiation.output.send(optionReply(option, REP.ack));
  return 'option';
}

/** Only in LIST: no query at all, or the whole namespace. */
function asksForAll(queries: readonly string[]): boolean {
  return queries.length === 0 || queries.includes('base:');
}

function parseQueries(data: Buffer): { name: string; queries: string[] } {
  const reader = new OptionReader(data);
  const name = reader.string();
  const count = reader.uint32();
  const queries: string[] = [];
  for (let number = 0; number < count; number++) queries.push(reader.string());
  reader.end();
  return { name, queries };
}
