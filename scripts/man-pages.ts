/**
 * Man pages from the command tree: one for `ax` and one for each command that does something. Pure: the caller
 * reads and writes files. The source is man(7), which mandoc and groff both read.
 */
import type { Argument, Command, Option } from 'commander';
import { commandExamples } from '../src/program/tree.ts';

export interface ManPage {
  /** Such as `ax-receipts-list.1`. */
  readonly file: string;
  readonly text: string;
}

/** Every page, `ax.1` first, then by name. The same tree and version give the same bytes on any day. */
export function manPages(program: Command, version: string): ManPage[] {
  const leaves = leafCommands(program).sort((a, b) => (pageName(a) < pageName(b) ? -1 : 1));
  return [
    { file: 'ax.1', text: overview(program, leaves, version) },
    ...leaves.map((command) => ({
      file: `${pageName(command)}.1`,
      text: commandPage(command, leaves, version),
    })),
  ];
}

/** The commands that have no commands below them. */
export function leafCommands(command: Command): Command[] {
  return command.commands.length === 0 ? [command] : command.commands.flatMap(leafCommands);
}

/** The words that call a command: `ax receipts list`. */
export function commandPath(command: Command): string {
  return command.parent === null ? command.name() : `${commandPath(command.parent)} ${command.name()}`;
}

function pageName(command: Command): string {
  return commandPath(command).replaceAll(' ', '-');
}

function overview(program: Command, leaves: readonly Command[], version: string): string {
  const [first] = leaves;
  return page([
    heading('ax', version),
    section('NAME'),
    `ax \\- ${plain(lowerFirst(program.description()).replace(/\.$/, '').replace('. P', '; p'))}`,
    section('SYNOPSIS'),
    synopsis('ax', ['command', '[options]', '[arguments]']),
    section('DESCRIPTION'),
    ...paragraph(
      '`ax` runs tasks that were signed, and nothing else. `ax.yaml` says what may run; `ax sign` turns it into ' +
        '`ax.lock`, one signed file with the tasks and the SHA-256 of everything they depend on; `ax run` refuses ' +
        'whatever that file does not vouch for, and leaves an encrypted receipt of every attempt, refused ones too.',
    ),
    '.PP',
    ...paragraph(
      'The nearest folder upwards that holds an `ax.lock` or an `ax.yaml` is the project. An id of a run or a ' +
        'receipt may be given as any unique beginning of it.',
    ),
    section('COMMANDS'),
    ...leaves.flatMap((command) => item(`\\fB${words(commandPath(command))}\\fR`, command.summary())),
    section('OPTIONS'),
    ...program.createHelp().visibleOptions(program).flatMap(optionItem),
    section('GLOBAL OPTIONS'),
    'Every command takes these, after its name.',
    ...(first === undefined ? [] : sharedOptions(first, leaves).flatMap(optionItem)),
    section('EXIT STATUS'),
    ...paragraph(
      'The exit status of a failing task passes through. What ax itself has to say uses the codes below; with ' +
        '--json, `error.code` tells the two apart.',
    ),
    ...EXIT_STATUS.flatMap(([code, meaning]) => item(`\\fB${words(code)}\\fR`, meaning)),
    section('ENVIRONMENT'),
    ...ENVIRONMENT.flatMap(([name, meaning]) => item(`\\fB${words(name)}\\fR`, meaning)),
    '.PP',
    ...wrap('A task inherits nothing. What it gets is what ax.yaml names, and:'),
    ...TASK_ENVIRONMENT.flatMap(([name, meaning]) => item(`\\fB${words(name)}\\fR`, meaning)),
    section('FILES'),
    ...FILES.flatMap(([name, meaning]) => item(`\\fI${words(name)}\\fR`, meaning)),
    section('EXAMPLES'),
    ...example(['ax init', 'ax sign', 'ax run hello', 'ax receipts list', 'ax receipts decrypt 01JDZ8']),
    section('SEE ALSO'),
    references(leaves.map(pageName)),
  ]);
}

function commandPage(command: Command, leaves: readonly Command[], version: string): string {
  const shared = sharedOptions(command, leaves);
  const own = command
    .createHelp()
    .visibleOptions(command)
    .filter((option) => !shared.includes(option));
  const siblings = leaves.filter((leaf) => leaf !== command && leaf.parent === command.parent);
  const related = command.parent?.parent == null ? [] : siblings.map(pageName);
  return page([
    heading(pageName(command), version),
    section('NAME'),
    `${words(pageName(command))} \\- ${plain(command.summary())}`,
    section('SYNOPSIS'),
    synopsis(commandPath(command), ['[options]', ...command.registeredArguments.map(argumentTerm)]),
    section('DESCRIPTION'),
    ...paragraph(command.description()),
    ...(command.registeredArguments.length === 0
      ? []
      : [
          section('ARGUMENTS'),
          ...command.registeredArguments.flatMap((argument) =>
            item(`\\fI${words(argument.name())}\\fR`, argument.description),
          ),
        ]),
    section('OPTIONS'),
    ...own.flatMap(optionItem),
    ...shared.flatMap(optionItem),
    section('EXIT STATUS'),
    'See EXIT STATUS in',
    '.BR ax (1).',
    section('EXAMPLES'),
    ...example(commandExamples(command)),
    section('SEE ALSO'),
    references(['ax', ...related]),
  ]);
}

/** The options that are on every command. */
function sharedOptions(command: Command, leaves: readonly Command[]): Option[] {
  return command.options.filter((option) =>
    leaves.every((leaf) => leaf.options.some(({ flags }) => flags === option.flags)),
  );
}

function argumentTerm(argument: Argument): string {
  const name = `${argument.name()}${argument.variadic ? '...' : ''}`;
  return argument.required ? name : `[${name}]`;
}

function optionItem(option: Option): string[] {
  // `-l, --limit <n>`: flags bold, the value in italics.
  const [, flags = '', value = ''] = /^([^<[]*?)(?: ([<[].*))?$/.exec(option.flags) ?? [];
  const term = `\\fB${words(flags)}\\fR${value === '' ? '' : ` \\fI${words(value.slice(1, -1))}\\fR`}`;
  const choices =
    option.argChoices === undefined
      ? ''
      : `; one of ${option.argChoices.join(', ').replace(/, ([^,]*)$/, ' or $1')}`;
  return item(term, `${option.description}${choices}`);
}

const EXIT_STATUS: readonly (readonly [string, string])[] = [
  ['0', 'Done.'],
  ['1-63', 'The status of the task itself; of several tasks, that of the one that failed first.'],
  ['64', 'Usage: the command line is not one that ax understands.'],
  ['65', 'Malformed ax.yaml, ax.lock, JSON or input.'],
  ['66', 'There is no such task, run, receipt, key, project or file.'],
  [
    '69',
    'Something that is needed is not there: Node.js too old, a command missing, a supervisor that does not answer.',
  ],
  ['70', 'A defect in ax.'],
  ['74', 'I/O: a file or the store cannot be read or written, or the disk is full.'],
  ['75', 'Try again later: rate limited, or the store is busy. With --json, retryAfterSeconds says when.'],
  ['76', 'Integrity: a dependency, a receipt or the audit log is not what it was.'],
  ['77', 'Refused: unsigned, untrusted, expired, rolled back, or it takes a confirmation.'],
  ['78', 'A key, trust file, setting, secret or variable of the environment cannot be used.'],
  ['124', 'The task timed out.'],
  ['130', 'Canceled, by Ctrl-C or by ax cancel.'],
  ['128+n', 'Ended by signal n: ax was asked to end by it, or the task was killed by it.'],
];

const ENVIRONMENT: readonly (readonly [string, string])[] = [
  [
    'AX_HOME',
    'One folder for keys, trust, settings and what this machine remembers, in place of the XDG folders. Absolute.',
  ],
  ['AX_STORE', 'Where receipts, runs and the audit log are, in place of .ax beside ax.yaml.'],
  [
    'AX_TRUST',
    'The trust in force: the text of a trust file if it begins with {, else the path of one. While it is set, the ' +
      'trust file of the home is neither read nor changed.',
  ],
  [
    'AX_RECEIPT_KEY',
    '32 bytes in base64 or hex: the key that receipts are sealed to and opened with. In place of the keyring’s for ' +
      'sealing, beside it for opening.',
  ],
  [
    'AX_RECIPIENTS',
    'A public X25519 key as a JWK, or a JSON array of them, to seal receipts to. This machine can then not read ' +
      'what it writes, unless AX_RECEIPT_KEY is set as well.',
  ],
  [
    'AX_LEGACY_KEY',
    'For ax receipts import: keys of the older store, base64 or hex, with white space between them.',
  ],
  [
    'AX_KEYRING_PASSPHRASE',
    'Opens keys that ax keys protect has protected; while it is not set, it is asked for on a terminal.',
  ],
  ['AX_KEYRING_NEW_PASSPHRASE', 'What ax keys protect changes the passphrase to.'],
  [
    'SSH_AUTH_SOCK',
    'Where the ssh-agent listens that signs for keys of the keyring without a private part (ax keys import key.pub).',
  ],
  ['NO_COLOR', 'Any value but the empty one: no colour.'],
  ['FORCE_COLOR', 'Colour off a terminal too; 0 or false for none.'],
  [
    'XDG_DATA_HOME, XDG_CONFIG_HOME',
    'Where ax/ stands when there is no AX_HOME; relative values are ignored.',
  ],
  ['XDG_CACHE_HOME', 'Where V8’s compile cache of ax is kept, in ax/ (default: ~/.cache).'],
  ['XDG_RUNTIME_DIR, TMPDIR', 'Where the socket stands on which a run hears ax cancel.'],
  [
    'GITHUB_ACTIONS, TF_BUILD, TEAMCITY_VERSION',
    'Where one of them is set, lines of output that the CI system would take for a command are made harmless.',
  ],
  [
    'TRACEPARENT',
    'The W3C trace context that ax was started in: its runs are part of that trace. Ignored where it is malformed, ' +
      'which --verbose tells.',
  ],
  ['AX_DEBUG', 'When 1, a defect in ax is shown with where it happened.'],
];

const TASK_ENVIRONMENT: readonly (readonly [string, string])[] = [
  ['PATH', 'That of ax, without relative entries, unless the task sets its own.'],
  ['TRACEPARENT', 'The trace and span of the run, where the task has it in passEnv.'],
  ['AX_RUN_ID', 'The id of the run; ax finds what the task started by it.'],
  ['AX_INPUT_NAME', 'The value of each parameter, the name in upper case.'],
];

const FILES: readonly (readonly [string, string])[] = [
  ['ax.yaml', 'What may run, as people write it.'],
  ['ax.lock', 'What runs: the signed manifest, a DSSE envelope.'],
  ['.ax/ax.db', 'The store: runs, events, sealed receipts, the audit log. SQLite.'],
  [
    '$XDG_DATA_HOME/ax/keys/',
    'The keyring, one private file for each key (default: ~/.local/share/ax/keys/).',
  ],
  ['$XDG_DATA_HOME/ax/versions/', 'The highest manifest version seen of each project.'],
  ['$XDG_DATA_HOME/ax/store/', 'The store of commands that are not in a project.'],
  [
    '$XDG_CONFIG_HOME/ax/trust.json',
    'Whose signatures count, for which project (default: ~/.config/ax/trust.json).',
  ],
  ['$XDG_CONFIG_HOME/ax/config.json', 'Preferences; nothing there can relax trust.'],
];

function page(lines: readonly string[]): string {
  return `${lines.join('\n')}\n`;
}

/** The version stands where man(7) has the source; there is no date, so that a build does not change a page. */
function heading(name: string, version: string): string {
  return `.TH ${words(name.toUpperCase())} 1 "" "ax ${version}" "ax manual"`;
}

function section(title: string): string {
  return `.SH ${title}`;
}

function synopsis(command: string, rest: readonly string[]): string {
  const terms = rest.map((term) =>
    words(term).replace(/^(\[?)(.*?)((?:\.\.\.)?\]?)$/, (_, open: string, name: string, close: string) =>
      name === 'options' ? `${open}${name}${close}` : `${open}\\fI${name}\\fR${close}`,
    ),
  );
  return `\\fB${words(command)}\\fR ${terms.join(' ')}`;
}

function item(term: string, text: string): string[] {
  return ['.TP', term, ...paragraph(upperFirst(text))];
}

function paragraph(text: string): string[] {
  return wrap(text.endsWith('.') ? text : `${text}.`);
}

function example(lines: readonly string[]): string[] {
  return ['.nf', ...lines.map((line) => words(line).replace(/^(?=[.'])/, '\\&')), '.fi'];
}

function references(names: readonly string[]): string {
  return names
    .map((name, index) => `.BR ${words(name)} (1)${index === names.length - 1 ? '' : ','}`)
    .join('\n');
}

const MAX_LINE = 78;

/** Source lines of a bounded length. A line that begins like a request is kept from being one. */
function wrap(text: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of inline(text).split(' ')) {
    if (line !== '' && line.length + 1 + word.length > MAX_LINE) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line].map((each) => each.replace(/^(?=[.'])/, '\\&'));
}

/** Text in which `…` is code. */
function inline(text: string): string {
  return text
    .split(/`([^`]*)`/)
    .map((part, index) => (index % 2 === 1 ? `\\fB${words(part)}\\fR` : words(part)))
    .join('');
}

/** The same without any font: what apropos and whatis read. */
function plain(text: string): string {
  return words(text.replaceAll('`', ''));
}

/** Text with nothing in it that roff acts on. Hyphens become minus signs, which copy and paste as typed. */
function words(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll("'", '\\(aq')
    .replaceAll('~', '\\(ti')
    .replaceAll('^', '\\(ha')
    .replace(/[^\x20-\x7e]/gu, (character) => {
      const code = character.codePointAt(0) ?? 0;
      return `\\[u${code.toString(16).toUpperCase().padStart(4, '0')}]`;
    });
}

function upperFirst(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
