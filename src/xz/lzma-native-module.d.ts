/** The part of lzma-native's binding that is used; its own stream wrapper splits and restarts streams and is not. */
declare module 'lzma-native' {
  type BufferHandler = (
    content: Uint8Array | null | undefined,
    processedPieces: number | undefined,
    error: (Error & { code?: number }) | null | undefined,
  ) => void;

  interface Stream {
    bufferHandler: BufferHandler;
    streamDecoder_(memlimit: number, flags: number): number;
    setBufsize(bytes: number): number;
    code(piece: Uint8Array, inPool: boolean): void;
    resetUnderlying(): void;
  }

  const binding: {
    readonly Stream: new () => Stream;
    versionString(): string;
  };
  export default binding;
}
