import type { Tree } from './tree.ts';

/** `ax config`: preferences. */
export function addConfig({ add, group, context }: Tree): void {
  const config = group('config', 'preferences; nothing here can relax trust');
  const settingArgument: readonly [string, string] = [
    '<name>',
    'color, jobs, signingKeyDays or receiptKeyDays',
  ];
  add(
    config,
    {
      name: 'get',
      summary: 'print a setting',
      arguments: [settingArgument],
      examples: ['ax config get jobs'],
    },
    async (name: string, options: object) =>
      (await import('../commands/config.ts')).getCommand(context, name, options),
  );
  add(
    config,
    {
      name: 'set',
      summary: 'change a setting',
      arguments: [settingArgument, ['<value>', 'see ax config list']],
      examples: ['ax config set jobs 4', 'ax config set color never', 'ax config set signingKeyDays 30'],
    },
    async (name: string, value: string, options: object) =>
      (await import('../commands/config.ts')).setCommand(context, name, value, options),
  );
  add(
    config,
    { name: 'list', summary: 'list the settings', examples: ['ax config list'] },
    async (options: object) => (await import('../commands/config.ts')).listCommand(context, options),
  );
  add(
    config,
    { name: 'path', summary: 'print where the settings are kept', examples: ['ax config path'] },
    async (options: object) => (await import('../commands/config.ts')).pathCommand(context, options),
  );
}
