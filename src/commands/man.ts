import { BaseCommand } from '../base-command.js';

export default class Man extends BaseCommand<typeof Man> {
  static override summary = 'Print the manual page.';
  static override description = 'The page is in roff, as man(1) reads it.';
  static override examples = [
    '<%= config.bin %> man | man -l -',
    {
      description: 'Install it for all users:',
      command: '<%= config.bin %> man >/usr/local/share/man/man1/<%= config.bin %>.1',
    },
  ];

  protected override async execute(): Promise<unknown> {
    const { programModel } = await import('../ui/command-model.js');
    const { manPage } = await import('../ui/man-page.js');
    const page = manPage(programModel(this.config));
    this.log(page.trimEnd());
    return { page };
  }
}
