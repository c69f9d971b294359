import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A key and its certificate, PEM. */
export interface Credentials {
  readonly key: Buffer;
  readonly cert: Buffer;
}

/** A certificate authority of one's own. */
export interface TestCa {
  /** Path of its certificate, for NODE_EXTRA_CA_CERTS. */
  readonly file: string;
  /** A server certificate for `names` (`DNS:...`, `IP:...`) that is valid from now on for `days`, which may be negative. */
  issue(name: string, options: { names: string; days?: number }): Credentials;
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

/** Makes an authority whose files are in `folder`. */
export function makeTestCa(folder: string): TestCa {
  const at = (name: string): string => join(folder, name);
  const ca = selfSigned(folder, 'ca');
  writeFileSync(at('ca.pem'), ca.cert);
  return {
    file: at('ca.pem'),
    issue(name, { names, days = 30 }) {
      openssl(
        'req',
        '-new',
        ...NEW_KEY,
        '-keyout',
        at(`${name}.key`),
        '-out',
        at(`${name}.csr`),
        '-subj',
        '/CN=test',
      );
      writeFileSync(at(`${name}.ext`), `subjectAltName=${names}\n`);
      const request = [
        '-req',
        '-in',
        at(`${name}.csr`),
        '-extfile',
        at(`${name}.ext`),
        '-out',
        at(`${name}.pem`),
      ];
      const authority = ['-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial'];
      openssl('x509', ...request, ...authority, '-days', String(days));
      return { key: readFileSync(at(`${name}.key`)), cert: readFileSync(at(`${name}.pem`)) };
    },
  };
}

/** A certificate for localhost that its own key has signed. */
export function selfSigned(folder: string, name: string): Credentials {
  const [key, cert] = [join(folder, `${name}.key`), join(folder, `${name}.pem`)];
  const subject = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  openssl('req', '-x509', ...NEW_KEY, '-keyout', key, '-out', cert, '-days', '30', ...subject);
  return { key: readFileSync(key), cert: readFileSync(cert) };
}

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}
