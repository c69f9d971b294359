import { Flags, type Interfaces } from '@oclif/core';
import { OPERATION_FACES, type OperationFace } from '../customize/operation-faces.js';

const helpGroup = 'CUSTOMISE';

/** The options by which a command takes operations; those of the operations themselves are known by their order only. */
export const customizeFlags = {
  // Typed as nothing: their values are read from the tokens of the command line, which have an order.
  ...(Object.fromEntries(OPERATION_FACES.map((face) => [face.name, operationFlag(face)])) as object),
  'commands-from-file': Flags.string({
    helpValue: 'FILE',
    multiple: true,
    multipleNonGreedy: true,
    description: 'operations from FILE, one in each line, without dashes',
    helpGroup,
  }),
  customize: Flags.string({
    helpValue: 'FILE',
    multiple: true,
    multipleNonGreedy: true,
    description: 'operations from a YAML list',
    helpGroup,
  }),
  'password-crypto': Flags.string({
    helpValue: 'yescrypt|sha512|sha256|md5',
    description: "how passwords are hashed (default: the best that the guest's system knows)",
    helpGroup,
  }),
  'password-file': Flags.string({
    helpValue: 'FILE',
    description: 'write passwords made here to the new file FILE instead of printing them once',
    helpGroup,
  }),
  root: Flags.string({
    helpValue: 'PART',
    description:
      'the partition of the system that is meant, such as /dev/sda3 or 3, where the disk has several',
    helpGroup,
  }),
  'cloud-init-disk': Flags.string({
    helpValue: 'FILE',
    description:
      'put what --cloud-init names on the new disk FILE, with the label CIDATA, instead of into the guest',
    helpGroup,
  }),
  'disk-uuid': Flags.option({ options: ['new', 'keep'] as const, default: 'keep' as const })({
    description:
      'ids of the disk, its partitions and filesystems: new ones, also in fstab and boot files, or those it has',
    helpGroup,
  }),
  network: Flags.boolean({
    allowNo: true,
    default: true,
    description: 'let programs that run in the guest reach the network',
    helpGroup,
  }),
  memsize: Flags.integer({
    helpValue: 'MB',
    min: 128,
    description: 'memory for programs that run in the guest',
    helpGroup,
  }),
  smp: Flags.integer({
    helpValue: 'N',
    min: 1,
    max: 255,
    description: 'processors for programs that run in the guest',
    helpGroup,
  }),
  attach: Flags.string({
    helpValue: 'FILE',
    multiple: true,
    multipleNonGreedy: true,
    description: 'a disk or ISO image that programs which run in the guest can read',
    helpGroup,
  }),
  'no-logfile': Flags.boolean({
    description: 'leave no log of programs that were run in the guest in it',
    helpGroup,
  }),
  'selinux-relabel': Flags.boolean({
    allowNo: true,
    description:
      'label all files anew at the first boot (default: where programs were run in a guest with SELinux)',
    helpGroup,
  }),
};

function operationFlag({ argument, summary: description }: OperationFace): Interfaces.Flag<unknown> {
  if (argument === undefined) return Flags.boolean({ description, helpGroup });
  return Flags.string({
    // A bar would be taken for a choice of words; three dots are added.
    helpValue: argument.replaceAll('|', ' or ').replace(/\.+$/, ''),
    multiple: true,
    multipleNonGreedy: true,
    description,
    helpGroup,
  }) as Interfaces.Flag<unknown>;
}
