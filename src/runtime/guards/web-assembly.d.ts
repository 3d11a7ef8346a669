/** As much of the WebAssembly API as is used here: it comes with the types of the web, which a CLI has no use for. */
declare namespace WebAssembly {
  class Module {
    constructor(bytes: Uint8Array<ArrayBuffer>);
  }

  interface Memory {
    readonly buffer: ArrayBuffer;
  }
}
