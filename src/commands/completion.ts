import { Args } from '@oclif/core';
import { BaseCommand } from '../base-command.js';

const GENERATORS = {
  bash: async () => (await import('../ui/completion-bash.js')).bashCompletion,
  zsh: async () => (await import('../ui/completion-zsh.js')).zshCompletion,
  fish: async () => (await import('../ui/completion-fish.js')).fishCompletion,
};

export default class Completion extends BaseCommand<typeof Completion> {
  static override summary = 'Print the completion script for a shell.';
  static override description =
    'The script knows all commands, their options and the values of these, and asks tsbuilder for the names of templates as you press Tab (never over the network).';
  static override examples = [
    {
      description: 'bash, for this user (needs the package bash-completion):',
      command:
        '<%= config.bin %> completion bash >~/.local/share/bash-completion/completions/<%= config.bin %>',
    },
    {
      description: 'zsh, for all users:',
      command: '<%= config.bin %> completion zsh >/usr/local/share/zsh/site-functions/_<%= config.bin %>',
    },
    {
      description: 'fish, for this user:',
      command: '<%= config.bin %> completion fish >~/.config/fish/completions/<%= config.bin %>.fish',
    },
    {
      description: 'In the running bash or zsh only:',
      command: 'source <(<%= config.bin %> completion bash)',
    },
  ];
  static override args = {
    shell: Args.custom<keyof typeof GENERATORS>({ options: ['bash', 'zsh', 'fish'] })({
      description: 'shell to print the script for',
      required: true,
      ignoreStdin: true,
    }),
  };

  protected override async execute(): Promise<unknown> {
    const { programModel } = await import('../ui/command-model.js');
    const { shell } = this.args;
    const script = (await GENERATORS[shell]())(programModel(this.config));
    this.log(script.trimEnd());
    return { shell, script };
  }
}
