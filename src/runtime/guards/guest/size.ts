/**
 * Bounds on the shape of an expression, held before it is evaluated: what a short expression can ask for is
 * decided by how deep its macros nest, not by how long it is. Runs in the interpreter.
 */

const MAX_NODES = 1_000;
const MAX_DEPTH = 64;
const MAX_ELEMENTS = 256;
/** `all`, `exists`, `map` and the like within one another. */
const MAX_COMPREHENSIONS = 3;

/** As much of the parser's tree as counts here. */
interface Node {
  readonly exprKind?: { readonly case?: string | undefined; readonly value?: unknown };
}

/** What is too large about an expression, or undefined. */
export function excess(root: unknown): string | undefined {
  const open = [{ node: root, depth: 0, comprehensions: 0 }];
  let nodes = 0;
  for (let entry = open.pop(); entry !== undefined; entry = open.pop()) {
    const { node } = entry;
    if (typeof node !== 'object' || node === null) continue;
    let { depth, comprehensions } = entry;
    const kind = (node as Node).exprKind;
    if (kind !== undefined) {
      nodes += 1;
      depth += 1;
      if (kind.case === 'comprehensionExpr') comprehensions += 1;
      if (nodes > MAX_NODES) return `more than ${MAX_NODES} parts`;
      if (depth > MAX_DEPTH) return `more than ${MAX_DEPTH} levels of nesting`;
      if (comprehensions > MAX_COMPREHENSIONS)
        return `more than ${MAX_COMPREHENSIONS} macros within one another`;
    }
    for (const member of Object.values(node)) {
      if (Array.isArray(member) && member.length > MAX_ELEMENTS) {
        return `a list or map of more than ${MAX_ELEMENTS} elements`;
      }
      open.push({ node: member, depth, comprehensions });
    }
  }
  return undefined;
}
