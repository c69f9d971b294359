import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseCommands, readCommandsFile } from '../../src/customize/parse-commands.js';
import { describeOperation } from '../../src/customize/plan-customize.js';
import { scratchFolder } from '../helpers/scratch-folder.js';

const parse = (text: string): ReturnType<typeof parseCommands> => parseCommands('list', text);
const told = (text: string): string[] =>
  parse(text).operations.map((one) => describeOperation(one).description);
const values = (text: string): unknown[] => parse(text).operations.map(({ value }) => value);

/** The message of what a text throws. */
function fault(text: string): string {
  try {
    parse(text);
  } catch (error) {
    return String(error);
  }
  throw new Error('no fault');
}

describe('a file of commands', () => {
  it('has one operation in each line, in order', () => {
    const names = parse('hostname web1\n\n# comment\n   # another\nmkdir /srv/a b\nupdate\n').operations;
    expect(names.map(({ kind }) => kind.name)).toEqual(['hostname', 'mkdir', 'update']);
    expect(told('mkdir /srv/a b')).toEqual(['make the folder /srv/a b']);
  });

  it('may have dashes, indentation, CRLF and no line break at its end', () => {
    expect(values('--hostname web1')).toEqual(['web1']);
    expect(values('  hostname web1\r\nhostname web2')).toEqual(['web1', 'web2']);
    expect(parse('').operations).toEqual([]);
  });

  it('goes on after a backslash, with a line break between', () => {
    const [value] = values('run-command echo a\\\n  echo b\\\n\nhostname x');
    expect(value).toBe('echo a\n  echo b\n');
    expect(values('run-command echo a\\')).toEqual(['echo a']);
  });

  it('has settings too, the last of which counts', () => {
    expect(
      parse('no-logfile\npassword-crypto md5\npassword-crypto sha512\nselinux-relabel').settings,
    ).toEqual({
      logfile: false,
      passwordCrypto: 'sha512',
      selinuxRelabel: true,
    });
  });

  it.each([
    ['a\n\nfoo x', 'list: line 1: there is no such operation'],
    ['hostname a\nfoo\tx', 'list: line 2: there is no such operation'],
    ['hostname a\nrun-command b\\\n\nhostname\n', 'list: line 4: --hostname needs NAME'],
    ['update now', 'list: line 1: --update takes nothing, and was given something'],
    ['commands-from-file x', 'list: line 1: commands-from-file: a file of commands cannot name another'],
    ['--customize x', 'list: line 1: customize: a file of commands cannot name another'],
    ['password-crypto des', 'list: line 1: --password-crypto: that is no way of hashing passwords'],
    ['constructor x', 'list: line 1: there is no such operation'],
  ])('%j is refused with its line', (text, message) => {
    expect(fault(text)).toContain(message);
  });

  it('is told what may be meant', () => {
    const hintOf = (text: string): unknown => {
      try {
        return parse(text);
      } catch (error) {
        return (error as { hint?: string }).hint;
      }
    };
    expect(hintOf('hostnam web1')).toBe('Is hostname meant?');
    expect(hintOf('MKDIR /srv')).toBe('Is mkdir meant?');
    expect(hintOf('append_line /etc/hosts:x')).toBe('Is append-line meant?');
    expect(hintOf('yello x')).toBe('tsbuilder customize --help lists them.');
  });

  it.each([
    'Secret-1\n',
    'Secret-1:x\nmore',
    'password root:Secret-1',
    'password Secret-1',
    'root-password Secret-1',
    'root-password passwort:Secret-1',
    'password-crypto Secret-1',
    'update Secret-1',
    'user bob:password=Secret-1',
    'user bob:passwd=Secret-1',
    'write Secret-1',
    'append-line Secret-1',
  ])('%j is refused without being repeated', (text) => {
    expect(fault(text)).toContain('line 1');
    expect(fault(text)).not.toContain('Secret');
  });

  it('never throws anything but a usage error', () => {
    const word = fc.constantFrom(
      'hostname',
      'write',
      'chmod',
      'password',
      '--update',
      '#',
      '\\',
      'user',
      ' ',
      '\n',
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(word, fc.string())), (words) => {
        try {
          expect(parse(words.join('')).operations.length).toBeLessThanOrEqual(
            words.join('').split('\n').length,
          );
        } catch (error) {
          expect(error).toMatchObject({ code: 'TSB_USAGE', details: { path: 'list' } });
        }
      }),
    );
  });

  it('is read from a file, which must be there, be text and not be endless', async () => {
    await using folder = await scratchFolder();
    const path = join(folder.path, 'list');
    await writeFile(path, 'hostname web1\n');
    expect((await readCommandsFile(path)).operations).toHaveLength(1);
    await writeFile(path, Buffer.from([0x68, 0xff, 0x0a]));
    await expect(readCommandsFile(path)).rejects.toMatchObject({
      code: 'TSB_USAGE',
      message: /is not UTF-8/,
    });
    await expect(readCommandsFile('/dev/zero')).rejects.toMatchObject({
      code: 'TSB_USAGE',
      message: '/dev/zero: is longer than 1048576 bytes',
    });
    await expect(readCommandsFile(`${path}x`)).rejects.toMatchObject({
      code: 'TSB_NOT_FOUND',
      message: `${path}x: no such file`,
    });
  });
});

it('is no folder', async () => {
  await using folder = await scratchFolder();
  await expect(readCommandsFile(folder.path)).rejects.toMatchObject({
    code: 'TSB_USAGE',
    message: `${folder.path}: is a folder`,
  });
});
