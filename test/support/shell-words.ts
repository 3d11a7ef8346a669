/**
 * The words of the first command of a line, as a shell would hand them over: up to a pipe or a redirection, with
 * quotes taken away. Variables stay as they are written.
 *
 * @throws for a quote that is not closed
 */
export function shellWords(line: string): string[] {
  const words: string[] = [];
  for (let rest = line.trim(); rest !== '' && !/^(?:[|>#;&])/.test(rest); ) {
    const [word] = /^(?:'[^']*'|"[^"]*"|[^\s'"])+/.exec(rest) ?? [];
    if (word === undefined) throw new Error(`not closed: ${rest}`);
    words.push(word.replace(/'([^']*)'|"([^"]*)"/g, (_, single = '', double = '') => `${single}${double}`));
    rest = rest.slice(word.length).trimStart();
  }
  return words;
}
