/** The build of msgpackr that never evaluates code; the package ships no types for it. */
declare module 'msgpackr/index-no-eval' {
  export * from 'msgpackr';
}
