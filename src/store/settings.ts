import { existsSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { AxError } from '../errors.ts';
import { ensureOwnDirectory } from './files.ts';

/**
 * Preferences: how ax looks and behaves towards its user. Nothing here can relax trust, and no key or secret
 * belongs here: conf's file is ordinary JSON.
 */
export const SETTINGS = {
  color: { pattern: /^(auto|always|never)$/, fallback: 'auto', expected: 'auto, always or never' },
  receiptKeyDays: {
    pattern: /^[1-9][0-9]{0,3}$/,
    fallback: '90',
    expected: 'after how many days host, receipt and recipient keys are due, 1 to 9999',
  },
  signingKeyDays: {
    pattern: /^[1-9][0-9]{0,3}$/,
    fallback: '45',
    expected: 'after how many days signing keys are due, 1 to 9999',
  },
  jobs: { pattern: /^[1-9][0-9]?$/, fallback: '1', expected: 'how many tasks may run at once, 1 to 99' },
} as const;

export type SettingName = keyof typeof SETTINGS;

/** @throws SETTING_INVALID for a name that is none */
export function settingName(name: string): SettingName {
  if (Object.hasOwn(SETTINGS, name)) return name as SettingName;
  throw new AxError(
    'SETTING_INVALID',
    `expected one of ${Object.keys(SETTINGS).join(', ')}, found "${name}"`,
    {
      hint: 'ax config list',
    },
  );
}

/**
 * Every setting, with what holds where nothing was set. Without a file conf is not even loaded.
 *
 * @throws SETTING_INVALID
 */
export async function readSettings(file: string): Promise<Record<SettingName, string>> {
  const stored = existsSync(file) ? (await openConf(file)).store : {};
  const read = (name: SettingName) => checked(name, stored[name] ?? SETTINGS[name].fallback, file);
  return {
    color: read('color'),
    jobs: read('jobs'),
    signingKeyDays: read('signingKeyDays'),
    receiptKeyDays: read('receiptKeyDays'),
  };
}

/** @throws SETTING_INVALID, KEY_PERMISSIONS */
export async function writeSetting(
  file: string,
  name: SettingName,
  value: string,
  uid: number,
): Promise<void> {
  checked(name, value, 'ax config set');
  ensureOwnDirectory(dirname(file), uid);
  (await openConf(file)).set(name, value);
}

async function openConf(file: string) {
  const { default: Conf } = await import('conf');
  try {
    return new Conf<Record<string, unknown>>({
      cwd: dirname(file),
      configName: basename(file, '.json'),
      projectName: 'ax',
      // conf would make it readable and writable for everyone.
      configFileMode: 0o600,
    });
  } catch (error) {
    throw new AxError('SETTING_INVALID', `${file}: expected JSON`, {
      hint: `correct or remove ${file}`,
      cause: error,
    });
  }
}

function checked(name: SettingName, value: unknown, where: string): string {
  const text = String(value);
  if (SETTINGS[name].pattern.test(text)) return text;
  throw new AxError(
    'SETTING_INVALID',
    `${where}: ${name}: expected ${SETTINGS[name].expected}, found "${text}"`,
    {
      hint: `ax config set ${name} ${SETTINGS[name].fallback}`,
    },
  );
}
