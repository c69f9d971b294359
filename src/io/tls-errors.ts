/** What is wrong with a TLS connection, and what can be done. */
export interface TlsProblem {
  readonly reason: string;
  readonly hint: string;
}

const UNTRUSTED =
  /^(DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_|CERT_UNTRUSTED|CERT_SIGNATURE_FAILURE)/;
const TLS = /^(CERT_|ERR_TLS_|ERR_SSL_|EPROTO)/;

/** The problem that an error code of Node's TLS names (those of OpenSSL's X509_verify_cert_error among them), else undefined. */
export function tlsProblem(code: string): TlsProblem | undefined {
  if (UNTRUSTED.test(code)) {
    return {
      reason: 'the certificate of the server is not signed by an authority that is trusted here',
      hint: 'For a private certificate authority set NODE_EXTRA_CA_CERTS to the file of its certificate.',
    };
  }
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID') {
    const when = code === 'CERT_HAS_EXPIRED' ? 'has expired' : 'is not valid yet';
    return {
      reason: `the certificate of the server ${when}`,
      hint: "Check this machine's clock; if it is right, the server needs a new certificate.",
    };
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return {
      reason: 'the certificate of the server is for another host name',
      hint: 'Use a name that is in the certificate, and check that this is the server you mean.',
    };
  }
  if (!TLS.test(code)) return undefined;
  return {
    reason: `no secure connection can be made (${code})`,
    hint: 'Check that the server speaks https on this port.',
  };
}
