import { exportInformation, findExport, sizeAndFlags, transmissionFlags } from './export-info.js';
import { answerMetaContext } from './meta-context.js';
import type { NbdExport } from './nbd-options.js';
import { type AfterOption, type Negotiation, type Session, refuse } from './negotiation.js';
import { InvalidOption, OptionReader, decodeString, optionReply, uint32 } from './option-frames.js';
import { ProtocolViolation } from './protocol-violation.js';
import { OPT, REP } from './protocol.js';

/**
 * Answers one option of a client ("Option types" of the NBD protocol). Resolves when the answer is on its way.
 *
 * @throws ProtocolViolation where the protocol knows no answer but to close the connection
 */
export async function answerOption(
  negotiation: Negotiation,
  option: number,
  data: Buffer,
): Promise<AfterOption> {
  const { tls } = negotiation.options;
  if (!negotiation.client.fixedNewstyle && option !== OPT.exportName) {
    throw new ProtocolViolation(`option ${option} of a client that does not know fixed newstyle`);
  }
  const plainAllowed = negotiation.encrypted || tls?.mode !== 'require';
  if (!plainAllowed && option !== OPT.startTls && option !== OPT.abort)
    return refusePlain(negotiation, option);
  try {
    return await dispatch(negotiation, option, data);
  } catch (error) {
    if (!(error instanceof InvalidOption) || option === OPT.exportName) throw error;
    return refuse(negotiation, option, { type: REP.errInvalid, message: error.message });
  }
}

async function dispatch(negotiation: Negotiation, option: number, data: Buffer): Promise<AfterOption> {
  switch (option) {
    case OPT.exportName:
      return answerExportName(negotiation, data);
    case OPT.abort:
      await negotiation.output.send(optionReply(option, REP.ack));
      return 'close';
    case OPT.list:
      return answerList(negotiation, data);
    case OPT.startTls:
      return answerStartTls(negotiation, data);
    case OPT.info:
    case OPT.go:
      return answerInfo(negotiation, option, data);
    case OPT.structuredReply:
      new OptionReader(data).end();
      negotiation.structured = true;
      await negotiation.output.send(optionReply(option, REP.ack));
      return 'option';
    case OPT.listMetaContext:
    case OPT.setMetaContext:
      return answerMetaContext(negotiation, option, data);
    default:
      return refuse(negotiation, option, {
        type: REP.errUnsupported,
        message: 'this server does not know it',
      });
  }
}

function refusePlain(negotiation: Negotiation, option: number): Promise<'option'> {
  if (option === OPT.exportName)
    throw new ProtocolViolation('asked for an export without the TLS it requires');
  return refuse(negotiation, option, { type: REP.errTlsRequired, message: 'this server requires TLS' });
}

/** There is no way to refuse this option but to close the connection. */
async function answerExportName(negotiation: Negotiation, data: Buffer): Promise<Session> {
  const name = exportNameOf(data);
  const chosen = findExport(negotiation.options, name);
  if (!chosen) throw new ProtocolViolation(`no export has the name ${JSON.stringify(name)}`);
  const session = startSession(negotiation, chosen);
  const padding = Buffer.alloc(negotiation.client.noZeroes ? 0 : 124);
  await negotiation.output.send(sizeAndFlags(chosen.disk.size, session.flags), padding);
  return session;
}

function exportNameOf(data: Buffer): string {
  try {
    return decodeString(data);
  } catch (error) {
    throw new ProtocolViolation(`asked for an export by ${(error as Error).message}`);
  }
}

async function answerList(negotiation: Negotiation, data: Buffer): Promise<'option'> {
  new OptionReader(data).end();
  for (const { name, description } of negotiation.options.exports) {
    const bytes = Buffer.from(name);
    const entry = Buffer.concat([uint32(bytes.length), bytes, Buffer.from(description ?? '')]);
    await negotiation.output.send(optionReply(OPT.list, REP.server, entry));
  }
  await negotiation.output.send(optionReply(OPT.list, REP.ack));
  return 'option';
}

async function answerStartTls(negotiation: Negotiation, data: Buffer): Promise<'option' | 'tls'> {
  new OptionReader(data).end();
  if (negotiation.encrypted) throw new InvalidOption('the connection is encrypted already');
  if (negotiation.options.tls) return 'tls';
  return refuse(negotiation, OPT.startTls, {
    type: REP.errPolicy,
    message: 'this server is not set up for TLS',
  });
}

/** INFO and GO: the same answers, but after GO the transmission begins. */
async function answerInfo(
  negotiation: Negotiation,
  option: number,
  data: Buffer,
): Promise<'option' | Session> {
  const reader = new OptionReader(data);
  const name = reader.string();
  const wanted = new Set(Array.from({ length: reader.uint16() }, () => reader.uint16()));
  reader.end();
  const chosen = findExport(negotiation.options, name);
  if (!chosen)
    return refuse(negotiation, option, { type: REP.errUnknown, message: 'no export has this name' });
  const session = startSession(negotiation, chosen);
  for (const information of exportInformation(chosen, session.flags, wanted)) {
    await negotiation.output.send(optionReply(option, REP.info, information));
  }
  await negotiation.output.send(optionReply(option, REP.ack));
  return option === OPT.go ? session : 'option';
}

/** A metadata context that was chosen for another export does not count. */
function startSession(negotiation: Negotiation, chosen: NbdExport): Session {
  const { structured, allocationOf } = negotiation;
  return {
    export: chosen,
    flags: transmissionFlags(chosen, structured),
    structured,
    blockStatus: structured && allocationOf === chosen,
  };
}
