import type { Style } from './style.ts';

/** Columns as wide as their widest cell, two spaces apart, under dim headings. Cells are plain text. */
export function table(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
  style: Style,
): string {
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const render = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  return [style.dim(render(headings)), ...rows.map(render)].join('\n');
}
