import { type DefaultTreeAdapterMap, parseFragment } from 'parse5';
import { describe, expect, it } from 'vitest';
import { html, toMarkup } from '../../src/output/html.ts';
import { haveVectors, vectorJson } from '../support/vectors.ts';

type Node = DefaultTreeAdapterMap['node'];

/** The tree of a piece of markup, as an HTML5 parser sees it: tags, attributes, and text between them. */
function outline(node: Node): unknown {
  if ('value' in node) return node.value;
  const children = 'childNodes' in node ? node.childNodes.map(outline) : [];
  if (!('tagName' in node)) return children;
  return [node.tagName, Object.fromEntries(node.attrs.map(({ name, value }) => [name, value])), ...children];
}

function parsed(markup: string): unknown {
  return outline(parseFragment(markup));
}

describe('html', () => {
  it('keeps markup of its own and makes text of everything that is put in', () => {
    const inner = html`<b>${'<i>&amp;'}</b>`;
    expect(toMarkup(html`<p>${inner} ${1} ${null}${[inner, '"']}</p>`)).toBe(
      '<p><b>&lt;i&gt;&amp;amp;</b> 1 <b>&lt;i&gt;&amp;amp;</b>&quot;</p>',
    );
  });

  it.each([
    ['an element', '<script>alert(1)</script>'],
    ['the end of its own element', '</p></pre></article><h1>'],
    ['a comment', '<!-- --><!--'],
    ['the end of an attribute', '" onmouseover="alert(1)" x="'],
    ['another end of it', "' onmouseover='alert(1)"],
    ['and another', '`onmouseover=alert(1)'],
    ['a reference', '&lt;img src=x onerror=alert(1)&gt;&#60;'],
    ['CDATA', '<![CDATA[x]]><svg/onload=alert(1)>'],
  ])('stays what it is written into: %s', (_, hostile) => {
    expect(parsed(toMarkup(html`<p title="${hostile}">${hostile}</p>`))).toEqual([
      ['p', { title: hostile }, hostile],
    ]);
  });

  it('shows what a reader would not see, and what a parser would replace', () => {
    expect(toMarkup(html`${'a\u0000\u202e\u0007\u200b\ud800\r\n\tb'}`)).toBe(
      'a\\x00\\u202e\\x07\\u200b\\ud800\\r\n\tb',
    );
  });

  it('takes no object of JSON for markup', () => {
    const forged = JSON.parse('{"Symbol(markup)": "<script>", "markup": "<script>"}');
    expect(() => toMarkup(html`<p>${forged}</p>`)).toThrow(TypeError);
  });

  it.skipIf(!haveVectors)('holds for every string of a collection of naughty ones', () => {
    const strings = vectorJson<string[]>('naughty-strings.json');
    expect(strings.length).toBeGreaterThan(400);
    for (const text of strings) {
      const [element] = parsed(toMarkup(html`<p title="${text}">${text}</p>`)) as [unknown[]];
      expect(element?.[0]).toBe('p');
      expect(Object.keys(element?.[1] as object)).toEqual(['title']);
      expect(element?.length).toBe(text === '' ? 2 : 3);
      if (text !== '') expect(element?.[2]).toBeTypeOf('string');
    }
  });
});
