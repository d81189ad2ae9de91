// The build of msgpackr that never calls `new Function`; it ships no types of its own.
declare module 'msgpackr/index-no-eval' {
  export * from 'msgpackr';
}
