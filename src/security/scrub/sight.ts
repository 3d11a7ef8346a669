/** Bytes of a buffer, and the same as a string of one character a byte, as far as they are known. */
export interface Sight {
  readonly bytes: Buffer;
  readonly text: string;
  /** How much of the stream came before these bytes. */
  readonly base: number;
  /** Where the search begins; what is before it is context. */
  readonly from: number;
  /** Where it ends: keywords from here on are for the next search. */
  readonly to: number;
  /** Nothing comes after these bytes. */
  readonly final: boolean;
}

export type Cover = (start: number, end: number, marker: string) => void;
