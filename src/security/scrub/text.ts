import { createScrubber, type ScrubPolicy } from './stream.ts';

/** Scrubs whole texts. One in which nothing was found comes back as it is. */
export function createTextScrubber(policy: ScrubPolicy): (text: string) => string {
  return (text) => {
    if (text === '') return text;
    const scrubber = createScrubber(policy);
    const bytes = Buffer.from(text);
    const out = Buffer.concat([scrubber.push(bytes), scrubber.end()]);
    return out.equals(bytes) ? text : out.toString();
  };
}
