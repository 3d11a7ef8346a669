import type { Context } from '../context.ts';
import { readSettings, SETTINGS, settingName, writeSetting } from '../store/settings.ts';
import { type GlobalOptions, openSession } from './session.ts';

export async function getCommand(context: Context, name: string, options: GlobalOptions): Promise<number> {
  const { settings, output } = await openSession(context, options);
  const setting = settingName(name);
  output.line(settings[setting]);
  output.document({ schema: 'ax.config/1', settings: { [setting]: settings[setting] } });
  return 0;
}

export async function setCommand(
  context: Context,
  name: string,
  value: string,
  options: GlobalOptions,
): Promise<number> {
  const { home, output } = await openSession(context, options);
  const setting = settingName(name);
  await writeSetting(home.settingsFile, setting, value, context.actor.uid);
  output.document({ schema: 'ax.config/1', settings: { [setting]: value } });
  return 0;
}

export async function listCommand(context: Context, options: GlobalOptions): Promise<number> {
  const { home, output } = await openSession(context, options);
  const settings = await readSettings(home.settingsFile);
  for (const [name, value] of Object.entries(settings)) {
    output.line(`${name} = ${value}  ${output.style.dim(`(${SETTINGS[settingName(name)].expected})`)}`);
  }
  output.document({ schema: 'ax.config/1', settings });
  return 0;
}

export async function pathCommand(context: Context, options: GlobalOptions): Promise<number> {
  const { home, output } = await openSession(context, options);
  output.line(home.settingsFile);
  output.document({ schema: 'ax.config.path/1', path: home.settingsFile });
  return 0;
}
