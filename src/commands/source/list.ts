import { BaseCommand } from '../../base-command.js';
import type { SourceConfig } from '../../index-repo/source-config.js';

export default class SourceList extends BaseCommand<typeof SourceList> {
  static override summary = 'List the sources of templates, in the order in which they are used.';
  static override description =
    'Nothing is fetched. TRUSTS is the fingerprint of the key that must have signed, or why the source cannot be used.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --json',
  ];

  protected override async execute(): Promise<unknown> {
    const { loadSources } = await import('../../index-repo/sources.js');
    const { redactUrl } = await import('../../io/redact-url.js');
    const { formatTable } = await import('../../ui/table.js');
    const sources = await loadSources({ progress: this.progress });
    const listed = await Promise.all(
      sources.map(async (source) => {
        const { name, uri, format, origin } = source;
        return { name, uri: redactUrl(uri), format, origin, ...(await this.trustIn(source)) };
      }),
    );
    const rows = listed.map(({ name, uri, origin, fingerprints, problem }) => [
      name,
      uri,
      problem ?? fingerprints.join(' '),
      origin,
    ]);
    if (rows.length > 0) this.log(formatTable([['NAME', 'INDEX', 'TRUSTS', 'FROM'], ...rows]).join('\n'));
    return { sources: listed };
  }

  /** The fingerprints of the keys that a source trusts, or what is wrong with it. */
  private async trustIn(source: SourceConfig): Promise<{ fingerprints: string[]; problem?: string }> {
    const { messageOf } = await import('../../errors.js');
    const { trustedKeys } = await import('../../index-repo/source-keys.js');
    try {
      if (source.problem) throw source.problem;
      const keys = await trustedKeys(source, { signal: this.signal });
      return { fingerprints: keys.map((key) => key.getFingerprint().toUpperCase()) };
    } catch (error) {
      this.signal.throwIfAborted();
      return { fingerprints: [], problem: messageOf(error) };
    }
  }
}
