/** Telephone numbers: E.164, and the forms in which countries write theirs. */

/** What can be a number with its country: a plus, or the signs that people put into numbers and nothing else does. */
export function isPhone(text: string): boolean {
  const digits = text.replaceAll(/[^0-9]/g, '');
  if (!isBalanced(text)) return false;
  if (text.startsWith('+')) return /^[1-9][0-9]{7,14}$/.test(digits) && /^\+\d/.test(text);
  return WRITTEN.some((form) => form.test(text));
}

const WRITTEN = [
  // North America: 1(567)362-8910, (567) 362-8910, 567-362-8910, 1-567-362-8910
  /^(?:1[ .-]?)?\([2-9]\d\d\)[ .-]?[2-9]\d\d[ .-]?\d{4}$/,
  /^(?:1[.-])?[2-9]\d\d([.-])[2-9]\d\d\1\d{4}$/,
  // A zero, the area or network in brackets: 0 (532) 123 45 67
  /^0[ -]?\(\d{2,4}\)[ -]?\d{2,4}(?:[ -]?\d{2,4}){1,3}$/,
  // A zero and groups: 0216 123 45 67, 0917-123-4567, 090 1234 5678, 020 7946 0958
  /^0[1-9]\d{0,3}([ -])\d{3,4}\1\d{2,4}(?:\1\d{2,3})?$/,
  /^0([ -])\d{3}\1\d{3}\1\d{2}\1\d{2}$/,
  // A zero and all the digits of a mobile: Britain, Japan, Turkey, the Philippines
  /^0[5-9]\d{9}$/,
  // A zero, the area, the rest: 09-7625400
  /^0\d{1,3}-\d{6,8}$/,
  // A country and brackets: 55 (17) 96332-2155
  /^\d{1,3} ?\(\d{2,4}\) ?\d{3,5}[ -]?\d{4}$/,
];

/**
 * Digits alone, which are as often a time or a size: only where a word says so or nothing else is on the line, and only
 * as the numbering plans of larger countries have them.
 */
export function isPhoneAlone(text: string): boolean {
  const digits = text.replaceAll(/[^0-9]/g, '');
  if (!isBalanced(text) || /[ .-]{2}/.test(text) || new Set(text.match(/[.-]/g)).size > 1) return false;
  // Nobody has such a number, and counts and ids are often round.
  if (/(\d)\1{5}$/.test(digits)) return false;
  return PLANS.some((plan) => plan.test(digits));
}

const PLANS = [
  // North America
  /^1?[2-9]\d\d[2-9]\d{6}$/,
  // Mobile and area numbers with their zero: Europe, Japan, Australia, Turkey, the Philippines
  /^0[1-9]\d{8,9}$/,
  /^01[567]\d{8,10}$/,
  // China
  /^(?:0086|86)?1[3-9]\d{9}$/,
  // Countries without a plus: France, Britain, Australia, Germany, Brazil, Turkey, Spain, Poland, Italy
  /^33[1-9]\d{8}$/,
  /^44[1-9]\d{8,9}$/,
  /^61[2-478]\d{8}$/,
  /^49[1-9]\d{8,10}$/,
  /^55[1-9]\d(?:9?\d{8})$/,
  /^90[2-5]\d{9}$/,
  /^34[6-9]\d{8}$/,
  // Turkey without its zero, Spain and Poland, Italy
  /^[2-5]\d{9}$/,
  /^[5-9]\d{8}$/,
  /^3\d{8,9}$/,
];

function isBalanced(text: string): boolean {
  return /^[^()]*(?:\([^()]+\)[^()]*)?$/.test(text);
}
