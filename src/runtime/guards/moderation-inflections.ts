/** The regular English inflections of a word, so that a term is found in them and not in every word it begins. */

/**
 * A folded word with its plural, possessive-less: third person, past and -ing forms, as English spells them:
 * "drop" gives "dropped" and not "droped", "rat" does not give "rated". A word of other letters than a to z, or of
 * one letter, gives itself alone. Irregular forms ("stole") and derived words ("killer") are other words.
 */
export function inflectionsOf(word: string): string[] {
  if (!/^[a-z]{2,}$/.test(word)) return [word];
  return [...new Set([word, ...plurals(word), ...pasts(word)])];
}

function plurals(word: string): string[] {
  const forms = [`${word}s`];
  if (/(?:[sxzo]|ch|sh)$/.test(word)) forms.push(`${word}es`);
  if (/[^aeiou]y$/.test(word)) forms.push(`${word.slice(0, -1)}ies`);
  if (/[^f]fe?$/.test(word)) forms.push(word.replace(/fe?$/, 'ves'));
  return forms;
}

function pasts(word: string): string[] {
  if (/.ie$/.test(word)) return [`${word}d`, `${word.slice(0, -2)}ying`];
  if (/[eoy]e$/.test(word)) return [`${word}d`, `${word}ing`];
  if (word.endsWith('e')) {
    const stem = word.slice(0, -1);
    return /[aeiouy]/.test(stem) ? [`${word}d`, `${stem}ing`] : [`${word}d`];
  }
  if (/[^aeiou]y$/.test(word)) return [`${word.slice(0, -1)}ied`, `${word}ing`];
  const doubled = word + word.slice(-1);
  // One syllable that ends in one vowel and one consonant doubles it: without that, it is another word's form.
  if (/^[^aeiou]*[aeiou][^aeiouwxy]$/.test(word)) return [`${doubled}ed`, `${doubled}ing`];
  return [`${word}ed`, `${word}ing`];
}
